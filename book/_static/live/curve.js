"use strict";
/* Lines in a frame. chart: {lines: [{label, colour, points: [[x, y], ...], t, big}], x, y, level: [value, its
   label]}; x and y are {label, ticks, log}. Without x it is a curve along a chain, from k = t on the left to
   k = 1 on the right, and a line may have a t of its own. With x each point has a dot, that at index `big` a
   larger one. Without x all lines but the first are dashed. */
window.frugalCurve = (() => {
  const LEFT = 38;
  const TOP = 22;
  const BOTTOM = 150;
  const AGREEMENT = {label: "pSNR / dB", ticks: [0, 10, 20, 30, 40, 50]}; // Eq. 6a

  const line = (path, more) => `<path d="${path}" fill="none" stroke="currentColor" ${more}/>`;
  const text = (x, y, words, anchor = "middle", more = "") =>
    `<text x="${x}" y="${y}" text-anchor="${anchor}" ${more}>${words}</text>`;

  function draw(svg, {t, lines, x, y = AGREEMENT, level = x ? null : [20, "20 dB"]}) {
    const width = Math.max(180, svg.clientWidth); // so that a letter has its size
    const right = width - (level ? 40 : 12);
    const share = ({ticks, log}, v) => {
      const [least, most] = [ticks[0], ticks.at(-1)];
      const inside = Math.min(most, Math.max(least, v));
      return log ? Math.log(inside / least) / Math.log(most / least) : (inside - least) / (most - least);
    };
    const up = (v) => BOTTOM - share(y, v) * (BOTTOM - TOP);
    const along = (k, of) => (x ? share(x, k) : (of - k) / Math.max(1, of - 1));
    const at = (k, of) => LEFT + along(k, of) * (right - LEFT);
    const remaining = Array.from({length: 5}, (_, i) => Math.round(t - ((t - 1) * i) / 4));
    const parts = [line(`M${LEFT} ${TOP}V${BOTTOM}H${right}`, "")];
    for (const tick of y.ticks) parts.push(text(LEFT - 5, up(tick) + 4, tick, "end"));
    for (const tick of x ? x.ticks : remaining) parts.push(text(at(tick, t), BOTTOM + 14, tick));
    parts.push(text((LEFT + right) / 2, BOTTOM + 30, x ? x.label : "steps that remain, k"));
    const middle = (TOP + BOTTOM) / 2;
    parts.push(text(0, 0, y.label, "middle", `transform="translate(10 ${middle}) rotate(-90)"`));
    if (level) {
      parts.push(line(`M${LEFT} ${up(level[0])}H${right}`, 'stroke-dasharray="2 3"'));
      parts.push(text(right + 3, up(level[0]) + 4, level[1], "start"));
    }
    const pitch = Math.min(130, (right - LEFT) / lines.length); // of the legend
    const mark = pitch < 70 ? 8 : 14;
    lines.forEach(({label, colour, points, t: of = t, big}, i) => {
      const style = `stroke="${colour}" stroke-width="2" ${i && !x ? 'stroke-dasharray="7 3"' : ""}`;
      const where = points.map(([k, v]) => [at(k, of).toFixed(1), up(v).toFixed(1)]);
      parts.push(`<polyline points="${where.map(String).join(" ")}" fill="none" ${style}/>`);
      if (x)
        where.forEach(([cx, cy], n) =>
          parts.push(`<circle cx="${cx}" cy="${cy}" r="${n === big ? 6 : 3}" fill="${colour}"/>`),
        );
      parts.push(
        `<path d="M${LEFT + pitch * i} 10h${mark}" ${style}/>`,
        text(LEFT + mark + 3 + pitch * i, 14, label, "start"),
      );
    });
    svg.setAttribute("viewBox", `0 0 ${width} 186`);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", spoken(lines, y, x));
    svg.innerHTML = parts.join("");
  }
  function spoken(lines, y, x) {
    const over = x ? x.label : "k";
    const last = lines.map(({label, points}) => {
      const [k, value] = points.at(-1) || [];
      return `${label}: ${k === undefined ? "none yet" : `${value.toPrecision(3)} at ${over} = ${k}`}`;
    });
    return `${y.label} against ${x ? x.label : "the steps that remain"}. Last values: ${last.join("; ")}.`;
  }

  /* The points of a film, [{k, c}, ...], and the steps that remain when it first reaches 20 dB, or null. */
  const points = (film) => film.filter(({c}) => c !== null).map(({k, c}) => [k, c]);
  function decided(film) {
    const first = film.find(({c}) => c >= 20);
    return first ? first.k - 1 : null;
  }
  return {draw, points, decided};
})();
