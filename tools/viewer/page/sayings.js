// What happened, in a sentence: events and summaries of rules.

import { language, number, t } from "./words.js";

const SAID = {
  en: {
    "presence enter": "{who} came into view", "presence leave": "{who} left the view",
    "presence dwell": "{who} is still in view",
    "zone enter": "{who} entered {zone}", "zone leave": "{who} left {zone}",
    "zone dwell": "{who} stays in {zone}",
    "line in": "{who} crossed {line} inwards", "line out": "{who} crossed {line} outwards",
    "loiter start": "{who} loiters", "loiter end": "{who} loiters no longer",
    "crowd over": "Too many people in {name}", "crowd end": "{name} is no longer too full",
    "run start": "{who} runs", "run end": "{who} runs no longer",
    "hands_up start": "{who} holds both hands up", "hands_up end": "{who} put the hands down",
    "fight start": "{who} and person {other} fight", "fight end": "{who} and person {other} fight no longer",
    "strike punch": "{who} punched", "strike kick": "{who} kicked",
    "action set": "{who}: {exercise}, set {set} done",
    "fall fall": "{who} fell", "fall lying": "{who} is lying", "fall recover": "{who} got up",
    "fall lost": "{who} was lost from view while down",
    "action repetition": "{who}: {exercise} {repetition}, score {score}",
    "rom repetition": "{who}: {name}, repetition {number}, {range}°",
    "rom outside": "{who}: {name}, {angle} outside its bounds",
    "rom end": "{who}: {name}, {angle} within its bounds again",
    "rom compensation": "{who}: {name}, {fault}", "rom asymmetry": "{who}: {name}, sides differ",
    "rom set": "{who}: {name}, set {set} done", "rom session": "{who}: {name} is over",
    "custom start": "{who}: {name} began", "custom end": "{who}: {name} ended",
    outbox_loss: "Events were given up: the outbox was full",
    outbox_reset: "The outbox was damaged and was replaced",
    outbox_parked: "The broker refused an event", who: "Person {0}", somebody: "Somebody",
  },
  zh: {
    "presence enter": "{who}进入画面", "presence leave": "{who}离开画面", "presence dwell": "{who}仍在画面中",
    "zone enter": "{who}进入 {zone}", "zone leave": "{who}离开 {zone}", "zone dwell": "{who}停留在 {zone}",
    "line in": "{who}进入 {line}", "line out": "{who}离开 {line}",
    "loiter start": "{who}徘徊", "loiter end": "{who}不再徘徊",
    "crowd over": "{name} 人员过密", "crowd end": "{name} 恢复正常密度",
    "run start": "{who}奔跑", "run end": "{who}停止奔跑",
    "hands_up start": "{who}举起双手", "hands_up end": "{who}放下双手",
    "fight start": "{who}与 {other} 号人员打斗", "fight end": "{who}与 {other} 号人员停止打斗",
    "strike punch": "{who}出拳", "strike kick": "{who}踢腿",
    "action set": "{who}：{exercise}，完成第 {set} 组",
    "fall fall": "{who}跌倒", "fall lying": "{who}躺在地上", "fall recover": "{who}已起身",
    "fall lost": "{who}倒地后离开视野",
    "action repetition": "{who}：{exercise} 第 {repetition} 次，得分 {score}",
    "rom repetition": "{who}：{name} 第 {number} 次，{range}°",
    "rom outside": "{who}：{name}，{angle} 超出范围", "rom end": "{who}：{name}，{angle} 恢复正常范围",
    "rom compensation": "{who}：{name}，代偿动作 {fault}", "rom asymmetry": "{who}：{name}，左右不对称",
    "rom set": "{who}：{name}，完成第 {set} 组", "rom session": "{who}：{name} 已结束",
    "custom start": "{who}：{name} 开始", "custom end": "{who}：{name} 结束",
    outbox_loss: "发件箱已满，部分事件被丢弃", outbox_reset: "发件箱损坏，已重建",
    outbox_parked: "消息服务器拒收了一个事件", who: "人员 {0} ", somebody: "有人",
    "trunk lean": "躯干前倾", "hip hike": "骨盆上提", "shoulder shrug": "耸肩",
  },
};

const plain = (value) => (typeof value === "number" ? number(value, value % 1 ? 1 : 0) : String(value ?? ""));

/** One sentence for an event. */
export function sentence(event) {
  const said = SAID[language()];
  const data = event.data && typeof event.data === "object" ? event.data : {};
  const who = event.person >= 0 ? said.who.replace("{0}", event.person) : said.somebody;
  const pattern = said[`${event.kind} ${data.action}`] ?? said[event.kind];
  if (!pattern) return [who.trim(), event.kind, data.name, data.action].filter(Boolean).join(" · ");
  const values = { ...data, who, range: data.range_deg, fault: said[data.fault] ?? data.fault };
  return pattern.replace(/\{(\w+)\}/g, (_, key) => plain(values[key])).replace(" ：", "：");
}

/** A few words for what a rule knows now; empty if that is nothing. */
export function chip(name, rule) {
  const data = rule.data && typeof rule.data === "object" ? rule.data : {};
  if (rule.unsure) return `${name} · ${t("unsure", rule.unsure)}`;
  if (rule.kind === "presence") return "";
  if (rule.kind === "fall") return data.down ? t("down", data.down) : "";
  if (data.repetitions !== undefined) {
    const count = typeof data.repetitions === "number" ? data.repetitions : sum(data.repetitions);
    return `${name} · ${t("rep", count)}`;
  }
  if (typeof data.degrees === "number") return `${name} · ${number(data.degrees)}°`;
  if (rule.kind === "line") return `${name} · ${t("inOut", plain(data.in), plain(data.out))}`;
  if (rule.kind === "zone") return `${name} · ${plain(data.people)}`;
  const figure = Object.entries(data).find(([, value]) => typeof value === "number");
  return figure ? `${name} · ${figure[0].replaceAll("_", " ")} ${plain(figure[1])}` : "";
}

/** Rows [name, value] with all plain figures of a rule. */
export function figures(rule) {
  return Object.entries(rule.data || {})
    .filter(([, value]) => value !== null && typeof value !== "object" && value !== "")
    .map(([name, value]) => [name.replaceAll("_", " "), plain(value)]);
}

const sum = (table) => Object.values(table || {}).reduce((a, b) => a + (Number(b) || 0), 0);
