// Every word of the page, in English and Chinese.

const WORDS = {
  en: {
    title: "edge-pose viewer", skip: "Skip to the cameras", live: "live", recording: "recording",
    lost: "no connection to the broker", lostWhy: "The broker cannot be reached. Trying again …",
    ended: "The viewer has ended. Start edge-tools view again.",
    waiting: "Waiting for cameras …",
    waitingWhy: "Nothing has been published yet. Is edge running, and does it publish to this broker?",
    noFrames: "This recording has no frames.",
    cameras: "Cameras", rooms: "Rooms", events: "Events", boxes: "Boxes",
    noEvents: "No events yet",
    language: "Language", theme: "Appearance", themeAuto: "as the system", themeLight: "light",
    themeDark: "dark", device: "Box", allDevices: "all boxes", show: "Show", allLevels: "all events",
    warnings: "warnings and alarms", alarms: "alarms only",
    pause: "Pause", resume: "Resume", paused: "paused", enlarge: "Enlarge {0}", back: "All cameras",
    people: ["{0} person", "{0} people"], nobody: "nobody",
    fps: "{0} fps", left: "left side", right: "right side", middle: "middle",
    starting: "starting", ok: "ok", stalled: "stalled", failed: "failed", endedState: "ended",
    offline: "offline", online: "online", stopped: "stopped in order", lostBox: "connection lost",
    quiet: "no frames for {0} s", blind: "fewer than two cameras",
    room: "{0} · 3-D", fell: "fell", lying: "lying", turnLeft: "Turn left", turnRight: "Turn right", tiltUp: "View from above",
    tiltDown: "View from the side", nearer: "Nearer", farther: "Farther", resetView: "Reset the view",
    latency: "Delay, 95 %", memory: "Memory", temperature: "Warmest", framerate: "Frames",
    dropped: "Left out", uptime: "Running for", version: "Version", degraded: "Saving power or time",
    throttled: "Slowed down", waitingEvents: "Events waiting", sinkDown: "Cannot deliver to",
    none: "–", power: "Power",
    play: "Play", stop: "Pause", position: "Position", speed: "Speed", reading: "reading {0} %",
    of: "{0} of {1}", partial: "The recording cannot be read further: {0}",
    rep: ["{0} repetition", "{0} repetitions"], down: "{0} down",
    unsure: "cannot judge: {0}", inOut: "{0} in, {1} out", alarm: "alarm", warning: "warning", info: "information",
    late: "late", day: "{0} d", hour: "{0} h", minute: "{0} min", second: "{0} s",
    newEvents: "Events of all cameras, newest first",
    privacy: "No pictures leave the boxes: this page draws published skeletons only.",
  },
  zh: {
    title: "edge-pose 查看器", skip: "跳到摄像头画面", live: "实时", recording: "录制回放",
    lost: "与消息服务器断开", lostWhy: "无法连接消息服务器，正在重试……",
    ended: "查看器已退出。请重新运行 edge-tools view。",
    waiting: "正在等待摄像头……",
    waitingWhy: "尚未收到任何消息。请确认 edge 正在运行，并且发布到此消息服务器。",
    noFrames: "此录制没有任何画面帧。",
    cameras: "摄像头", rooms: "房间", events: "事件", boxes: "设备",
    noEvents: "暂无事件",
    language: "语言", theme: "外观", themeAuto: "跟随系统", themeLight: "浅色",
    themeDark: "深色", device: "设备", allDevices: "全部设备", show: "显示", allLevels: "全部事件",
    warnings: "警告和警报", alarms: "仅警报",
    pause: "暂停", resume: "继续", paused: "已暂停", enlarge: "放大 {0}", back: "全部摄像头",
    people: ["{0} 人", "{0} 人"], nobody: "无人",
    fps: "{0} 帧/秒", left: "左侧", right: "右侧", middle: "中线",
    starting: "启动中", ok: "正常", stalled: "无新画面", failed: "故障", endedState: "已结束",
    offline: "离线", online: "在线", stopped: "正常停止", lostBox: "连接丢失",
    quiet: "{0} 秒没有新帧", blind: "可用摄像头不足两个",
    room: "{0} · 三维", fell: "跌倒", lying: "躺地", turnLeft: "向左转", turnRight: "向右转", tiltUp: "俯视",
    tiltDown: "平视", nearer: "拉近", farther: "拉远", resetView: "重置视角",
    latency: "延迟（95%）", memory: "内存", temperature: "最高温度", framerate: "帧率",
    dropped: "跳过的帧", uptime: "已运行", version: "版本", degraded: "降级运行",
    throttled: "硬件降频", waitingEvents: "待发送事件", sinkDown: "无法送达",
    none: "–", power: "功率",
    play: "播放", stop: "暂停", position: "位置", speed: "速度", reading: "已读取 {0}%",
    of: "{0} / {1}", partial: "录制无法继续读取：{0}",
    rep: ["{0} 次", "{0} 次"], down: "{0} 人倒地",
    unsure: "无法判断：{0}", inOut: "进 {0}，出 {1}", alarm: "警报", warning: "警告", info: "信息",
    late: "补发", day: "{0} 天", hour: "{0} 小时", minute: "{0} 分", second: "{0} 秒",
    newEvents: "所有摄像头的事件，最新的在前",
    privacy: "图像不会离开设备：此页面只绘制已发布的骨架。",
  },
};

export const LANGUAGES = { en: "English", zh: "中文" };

let chosen = "en";

/** The language in use, a key of LANGUAGES. */
export const language = () => chosen;

/** The tag for `lang` and for dates. */
export const locale = () => (chosen === "zh" ? "zh-CN" : "en");

export function choose(name) {
  chosen = WORDS[name] ? name : "en";
}

/** The language of the address, of the last visit, or of the browser. */
export function preferred() {
  const asked = new URLSearchParams(location.search).get("lang") || stored("language");
  if (WORDS[asked]) return asked;
  return (navigator.language || "en").toLowerCase().startsWith("zh") ? "zh" : "en";
}

/** A word with {0}, {1} ... filled in; of a list, the form for the number that comes first. */
export function t(key, ...values) {
  let word = WORDS[chosen][key] ?? key;
  if (Array.isArray(word)) word = word[values[0] === 1 ? 0 : 1];
  return word.replace(/\{(\d)\}/g, (_, i) => String(values[i] ?? ""));
}

export const people = (n) => (n === 0 ? t("nobody") : t("people", n));

export const clock = (ms) =>
  new Date(ms).toLocaleTimeString(locale(), { hour12: false });

export const number = (value, digits = 0) =>
  Number(value).toLocaleString(locale(), { maximumFractionDigits: digits, minimumFractionDigits: digits });

/** A frame rate; a slow one is not 0. */
export const rate = (fps) => number(fps, fps < 9.95 ? 1 : 0);

/** A time span in its two largest units. */
export function span(s) {
  const parts = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const from = Math.max(0, parts.findIndex(([, size]) => s >= size));
  const first = s >= 1 ? from : 3;
  return parts.slice(first, first + 2)
    .map(([key, size], i) => t(key, Math.floor(i ? (s % parts[first][1]) / size : s / size)))
    .join(" ");
}

export function stored(key) {
  try {
    return localStorage.getItem(`edge-view-${key}`);
  } catch {
    return null; // a browser may forbid it
  }
}

export function store(key, value) {
  try {
    localStorage.setItem(`edge-view-${key}`, value);
  } catch {
    // then the choice lasts as long as the page
  }
}
