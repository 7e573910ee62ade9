// How many parts a text takes, says npm sms-segments-calculator: a JSON list of
// [text, "GSM-7" | "UCS-2" | "auto"] in, a JSON list of [encoding, parts] out.
"use strict";
const { SegmentedMessage } = require(process.argv[2]);
const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
const counted = cases.map(([text, encoding]) => {
  const message = new SegmentedMessage(text, encoding);
  return [message.encodingName, message.segmentsCount];
});
process.stdout.write(JSON.stringify(counted));
