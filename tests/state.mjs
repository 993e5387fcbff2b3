// The playground's masks there and back: node tests/state.mjs CASE.json prints what comes back.
import fs from "node:fs";
import vm from "node:vm";

const text = fs.readFileSync(new URL("../book/_static/playground/state.js", import.meta.url), "utf8");
const window = {};
vm.runInNewContext(text, {window, URLSearchParams});
const {packed, unpacked} = window.frugalState;
const {masks} = JSON.parse(fs.readFileSync(process.argv[2]));
const back = masks.map((mask) => [...unpacked(packed(mask), mask.length)]);
console.log(JSON.stringify({back, none: ["1.2", "", "zz.-1"].map((wrong) => unpacked(wrong, 4096))}));
