"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const canvas = document.getElementById("faces");
  const play = document.getElementById("play");
  const place = document.getElementById("place");
  const time = document.getElementById("time");
  const speed = document.getElementById("speed");
  const audio = document.getElementById("voice");
  const side = 224, gap = 12, name = 24;
  const across = Math.min(Math.max(data.panels.length, 1), 4);
  const down = Math.ceil(Math.max(data.panels.length, 1) / across);
  const width = gap + across * (side + gap), height = down * (name + side + gap);
  const fine = Math.max(1, Math.min(3, window.devicePixelRatio || 1));
  canvas.width = width * fine;
  canvas.height = height * fine;
  canvas.style.width = `${width}px`;
  const context = canvas.getContext("2d");
  const frames = data.frames;
  place.max = String(Math.max(frames - 1, 0));
  let frame = 0, playing = false, started = 0, from = 0;

  const draw = () => {
    context.setTransform(fine, 0, 0, fine, 0, 0);
    context.clearRect(0, 0, width, height);
    data.panels.forEach((panel, at) => {
      const x = gap + (at % across) * (side + gap);
      const y = Math.floor(at / across) * (name + side + gap);
      context.fillStyle = panel.colour;
      context.font = "600 14px system-ui, sans-serif";
      context.textBaseline = "middle";
      context.fillText(panel.name, x, y + name / 2, side);
      context.save();
      context.translate(x, y + name);
      context.beginPath();
      context.rect(0, 0, side, side);
      context.fillStyle = "#fafaf8";
      context.fill();
      context.strokeStyle = "#e1e1dc";
      context.lineWidth = 1;
      context.stroke();
      context.clip();
      const face = panel.frames[frame];
      if (face) {
        context.strokeStyle = panel.colour;
        context.lineWidth = 2;
        context.lineJoin = "round";
        for (const [start, end, closed] of data.lines) {
          context.beginPath();
          for (let point = start; point <= end; point += 1) {
            context.lineTo(face[2 * point], face[2 * point + 1]);
          }
          if (closed) context.closePath();
          context.stroke();
        }
        context.fillStyle = "#222";
        for (let at = 136; at < face.length; at += 2) {
          context.beginPath();
          context.arc(face[at], face[at + 1], 3, 0, 2 * Math.PI);
          context.fill();
        }
      } else {
        context.fillStyle = "#777";
        context.font = "13px system-ui, sans-serif";
        context.textAlign = "center";
        context.fillText("not seen", side / 2, side / 2);
      }
      context.restore();
    });
    place.value = String(frame);
    time.textContent = `${(frame / data.rate).toFixed(2)} s`;
  };
  const show = (wanted) => {
    frame = Math.max(0, Math.min(frames - 1, wanted));
    draw();
  };
  const pause = () => {
    playing = false;
    play.textContent = "Play";
    if (audio) audio.pause();
  };
  const tick = (now) => {
    if (!playing) return;
    const sounds = audio && !audio.paused && !audio.ended;
    const seconds = sounds ? audio.currentTime : from + (now - started) / 1000 * Number(speed.value);
    if (seconds * data.rate >= frames) {
      show(frames - 1);
      pause();
      return;
    }
    // Where the sound ends before the faces do, they go on by the clock.
    if (sounds) {
      from = seconds;
      started = now;
    }
    show(Math.floor(seconds * data.rate + 1e-6));
    requestAnimationFrame(tick);
  };
  const start = () => {
    if (frames < 1) return;
    if (frame >= frames - 1) frame = 0;
    playing = true;
    play.textContent = "Pause";
    from = frame / data.rate;
    started = performance.now();
    if (audio) {
      audio.playbackRate = Number(speed.value);
      audio.currentTime = from;
      audio.play().catch(() => {});
    }
    requestAnimationFrame(tick);
  };
  const go = (wanted) => {
    pause();
    show(wanted);
  };
  play.addEventListener("click", () => (playing ? pause() : start()));
  place.addEventListener("input", () => go(Number(place.value)));
  speed.addEventListener("change", () => {
    if (playing) {
      pause();
      start();
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.target instanceof HTMLSelectElement || event.ctrlKey || event.altKey || event.metaKey) return;
    const step = event.shiftKey ? 10 : 1;
    if (event.key === " ") playing ? pause() : start();
    else if (event.key === "ArrowLeft") go(frame - step);
    else if (event.key === "ArrowRight") go(frame + step);
    else if (event.key === "Home") go(0);
    else return;
    event.preventDefault();
  });
  draw();
})();
