"use strict";
/* Pictures, 3 N N numbers in [-1, 1] colour by colour: how they are drawn, read from a file, and saved with
   captions. */
window.frugalPictures = (() => {
  const {N, P, pinv} = window.frugalFormulas || {};

  const byte = (v) => Math.round((Math.max(-1, Math.min(1, v)) + 1) * 127.5);
  const make = (tag, more = {}) => Object.assign(document.createElement(tag), more);
  const canvas = (width, height = width) => make("canvas", {width, height});

  /* Draws x; where `seen` is 0, a chequered ground covers it, all of it or the share `cover`. */
  function draw(place, x, seen, cover = 1) {
    const context = place.getContext("2d");
    const image = context.createImageData(N, N);
    for (let p = 0; p < P; p++) {
      const share = seen && !seen[p] ? cover : 0;
      const ground = ((p % N) + Math.floor(p / N)) % 4 < 2 ? 96 : 160;
      for (let c = 0; c < 3; c++) image.data[4 * p + c] = (1 - share) * byte(x[c * P + p]) + share * ground;
      image.data[4 * p + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  /* A mask that hides the middle, half as wide and half as high as the picture. */
  const middle = () =>
    Uint8Array.from({length: P}, (_, p) => {
      const far = (v) => Math.abs(v - (N - 1) / 2) > N / 4;
      return far(p % N) || far(Math.floor(p / N)) ? 1 : 0;
    });

  /* A measurement drawn at the size of the picture: y itself where it is one, else A^+ y. */
  const preview = ({A, y}) => (y.length === 3 * P ? y : pinv(A, y));

  /* The picture at an address: its centred square, halved until it fits, so that no pixel is skipped. */
  async function read(address) {
    const image = new Image();
    image.src = address;
    await image.decode();
    const side = Math.min(image.naturalWidth, image.naturalHeight);
    let now = canvas(side);
    now.getContext("2d").drawImage(image, (side - image.naturalWidth) / 2, (side - image.naturalHeight) / 2);
    do {
      const half = canvas(Math.max(N, Math.ceil(now.width / 2)));
      half.getContext("2d").drawImage(now, 0, 0, half.width, half.width);
      now = half;
    } while (now.width > N);
    const {data} = now.getContext("2d").getImageData(0, 0, N, N);
    const x = new Float32Array(3 * P);
    for (let p = 0; p < P; p++) for (let c = 0; c < 3; c++) x[c * P + p] = data[4 * p + c] / 127.5 - 1;
    return x;
  }

  /* A figure with an empty picture and its caption, in `place`; `told` sets what both say. */
  function figure(place, label) {
    const element = make("figure");
    const shown = canvas(N);
    const caption = make("figcaption");
    shown.setAttribute("role", "img");
    element.append(shown, caption);
    place.append(element);
    const told = (text) => {
      caption.textContent = text;
      shown.setAttribute("aria-label", text);
    };
    told(label);
    return {element, shown, told};
  }

  /* Saves one PNG: a title, and pictures [[canvas, its caption of one or two lines]] side by side. */
  function save(name, title, pictures) {
    const edge = 4 * N;
    const gap = 12;
    const width = pictures.length * (edge + gap) + gap;
    const sheet = canvas(width, edge + 92);
    const context = sheet.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, sheet.width, sheet.height);
    context.imageSmoothingEnabled = false;
    context.fillStyle = "#000";
    context.font = "16px sans-serif";
    context.fillText(title, gap, 26, width - 2 * gap);
    pictures.forEach(([one, caption], i) => {
      const left = gap + i * (edge + gap);
      context.drawImage(one, left, 40, edge, edge);
      caption.split("\n").forEach((line, row) => context.fillText(line, left, edge + 60 + 22 * row, edge));
    });
    make("a", {download: name, href: sheet.toDataURL()}).click();
  }

  return {N, P, make, canvas, draw, middle, preview, read, figure, save};
})();
