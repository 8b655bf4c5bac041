// Pictures for messages, drawn by the browser itself: no file of ours has to be carried along.

// Gives `draw(kind)`, which resolves to the bytes of a PNG.
export function drawings(browser) {
  return async (kind) => {
    const page = await browser.newPage();
    const bytes = await page.evaluate(paint, kind);
    await page.close();
    return Buffer.from(bytes);
  };
}

// Runs in the page.
async function paint(kind) {
  const size = { harbour: [900, 560], chart: [960, 420], screen: [420, 720] }[kind];
  const canvas = Object.assign(document.createElement("canvas"), { width: size[0], height: size[1] });
  const pen = canvas.getContext("2d");
  const [wide, high] = size;
  const fill = (color, x, y, w, h, r = 0) => {
    pen.fillStyle = color;
    pen.beginPath();
    pen.roundRect(x, y, w, h, r);
    pen.fill();
  };
  const hills = (color, base, height, step) => {
    pen.fillStyle = color;
    pen.beginPath();
    pen.moveTo(0, high);
    for (let x = 0; x <= wide; x += 4) {
      pen.lineTo(x, base - height * (Math.sin(x / step) + Math.sin(x / (step * 0.43) + 2) * 0.4));
    }
    pen.lineTo(wide, high);
    pen.fill();
  };
  const kinds = {
    harbour() {
      const sky = pen.createLinearGradient(0, 0, 0, high);
      sky.addColorStop(0, "#27496d");
      sky.addColorStop(0.45, "#e79a6c");
      sky.addColorStop(0.62, "#f9d9a0");
      pen.fillStyle = sky;
      pen.fillRect(0, 0, wide, high);
      fill("#fff3d6", wide * 0.66, high * 0.42, 74, 74, 40);
      hills("#6d6a86", high * 0.6, 34, 130);
      hills("#3f4d68", high * 0.66, 22, 90);
      fill("#24506b", 0, high * 0.68, wide, high);
      for (let line = 0; line < 60; line += 1) {
        const y = high * 0.69 + line * 3;
        fill("rgb(249 217 160 / 22%)", wide * 0.7 + Math.sin(line * 2.1) * (20 + line), y, 20 + line * 1.2, 2);
      }
      fill("#f4efe6", 210, high * 0.66, 170, 34, 8);
      fill("#0b6670", 196, high * 0.71, 210, 30, 12);
      fill("#c26a00", 320, high * 0.6, 26, 36, 3);
    },
    chart() {
      fill("#ffffff", 0, 0, wide, high);
      for (let line = 0; line < 5; line += 1) fill("#e6e3dc", 60, 60 + line * 72, wide - 100, 2);
      for (let hour = 0; hour < 18; hour += 1) {
        const peak = Math.exp(-((hour - 2) ** 2) / 3) + Math.exp(-((hour - 12) ** 2) / 8) * 0.7;
        const x = 70 + hour * 48;
        fill("#d9b98a", x, 348 - 70 - peak * 170, 16, 70 + peak * 170, 4);
        fill("#0b6670", x + 19, 348 - 16 - peak * 60, 16, 16 + peak * 60, 4);
      }
      pen.font = "22px sans-serif";
      pen.fillStyle = "#4f5357";
      for (const hour of [5, 8, 11, 14, 17, 20]) pen.fillText(`${hour}:00`, 64 + (hour - 5) * 48, 388);
    },
    screen() {
      fill("#f5f4f1", 0, 0, wide, high);
      fill("#0b6670", 0, 0, wide, 130);
      pen.fillStyle = "#ffffff";
      pen.font = "bold 34px sans-serif";
      pen.fillText("Seaton – Oban", 32, 82);
      fill("#ffffff", 32, 170, wide - 64, 380, 24);
      for (let cell = 0; cell < 225; cell += 1) {
        if ((cell * 7919) % 13 < 6) fill("#1a1d1f", 90 + (cell % 15) * 16, 210 + Math.floor(cell / 15) * 16, 16, 16);
      }
      pen.fillStyle = "#1a1d1f";
      pen.font = "28px sans-serif";
      pen.fillText("14:10   Pier 3   1 adult", 60, 510);
      fill("#c26a00", 32, 590, wide - 64, 84, 20);
      pen.fillStyle = "#ffffff";
      pen.fillText("Add to wallet", 122, 642);
    },
  };
  kinds[kind]();
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  return [...new Uint8Array(await blob.arrayBuffer())];
}
