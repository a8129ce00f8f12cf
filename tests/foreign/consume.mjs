// A consumer with mqtt.js: prints a line of JSON for each message, and acknowledges events.
// node consume.mjs PORT 4|5
import mqtt from "mqtt";

const version = Number(process.argv[3]);
const client = mqtt.connect(`mqtt://127.0.0.1:${process.argv[2]}`, { protocolVersion: version });
client.on("connect", async () => {
  await client.subscribeAsync("poses/v1/#", { qos: 1 });
  console.log(JSON.stringify({ ready: true }));
});
client.on("message", (topic, payload, packet) => {
  const properties = packet.properties ?? {};
  const { contentType, responseTopic, correlationData, messageExpiryInterval } = properties;
  if (!topic.endsWith("/ack"))
    console.log(
      JSON.stringify({
        topic,
        retain: packet.retain,
        contentType,
        expiry: messageExpiryInterval,
        record: contentType === "application/cbor" ? null : JSON.parse(payload.toString("utf8")),
      }),
    );
  if (responseTopic)
    client.publish(responseTopic, "", { qos: 1, properties: { correlationData } });
});
