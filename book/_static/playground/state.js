"use strict";
/* What is chosen, as the text after # in the page's address, so that a link shows what its sender saw. */
window.frugalState = (() => {
  /* A mask as the lengths of its runs in base 36, seen first: "0.1s.2" hides 64 pixels after none, shows 2.
   */
  function packed(mask) {
    const runs = [];
    for (let i = 0, seen = 1; i < mask.length; seen = 1 - seen) {
      const begin = i;
      while (i < mask.length && mask[i] === seen) i += 1;
      runs.push((i - begin).toString(36));
    }
    return runs.join(".");
  }
  /* The mask that a text packs, or null where it packs none of this length. */
  function unpacked(text, length) {
    const runs = text.split(".").map((run) => parseInt(run, 36));
    const mask = new Uint8Array(length);
    if (runs.reduce((sum, run) => sum + run, 0) !== length || runs.some((run) => run < 0)) return null;
    runs.reduce((at, run, i) => mask.fill(i % 2 ? 0 : 1, at, at + run) && at + run, 0);
    return mask;
  }

  const write = (choices) => `#${new URLSearchParams(choices)}`;
  const read = (hash) => Object.fromEntries(new URLSearchParams(hash.slice(1)));
  return {packed, unpacked, write, read};
})();
