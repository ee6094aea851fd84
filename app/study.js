// The rater's page of a study. The server decides what comes next; the page shows it and sends a rating until it is acknowledged.
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent), words = data.words;
  const say = (key, values = {}) => words[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const SETTLING = 350; // milliseconds in which a second click of a double-click does not rate the next image

  // What this browser keeps. Without storage the page works until it is reloaded.
  const kept = (name, value) => {
    try {
      if (value !== undefined) localStorage.setItem(`study ${data.study} ${name}`, JSON.stringify(value));
      return JSON.parse(localStorage.getItem(`study ${data.study} ${name}`));
    } catch {
      return null;
    }
  };

  const wait = (milliseconds) => new Promise((done) => {
    setTimeout(done, milliseconds);
    addEventListener("online", done, { once: true });
  });

  // Asks until there is an answer: the server takes a rating that is sent again for the one that it is. Throws what the server refuses.
  const ask = async (what, options, read) => {
    for (let pause = 1000; ; pause = Math.min(2 * pause, 10000)) {
      let answer = null, said = {};
      try {
        answer = await fetch(what, { ...options, signal: AbortSignal.timeout(30000) });
        if (answer.ok) said = await read(answer);
        else said = await answer.json().catch(() => ({}));
      } catch {
        answer = null; // no connection, or it was lost within the answer
      }
      const failed = !answer || answer.status >= 500 || answer.status === 429;
      $("connection").hidden = !failed;
      if (failed) $("connection").textContent = said.sentence || words.offline;
      else if (answer.ok) return said;
      else throw Object.assign(new Error(said.sentence || `${answer.status}`), { code: said.code });
      await wait(pause);
    }
  };
  const call = (what, body) => ask(what, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  }, (answer) => answer.json());
  const reason = (error) => words[`error_${error.code}`] || error.message;

  // Images by the keys of their presentations: the one on screen, the one ahead, and a few before them.
  const images = new Map();
  const load = (key) => {
    if (!images.has(key)) {
      images.set(key, ask(`image/${key}`, {}, (answer) => answer.blob()).then((blob) => URL.createObjectURL(blob)));
      images.get(key).catch(() => images.delete(key));
    }
    while (images.size > 4) {
      const [oldest, url] = images.entries().next().value;
      url.then(URL.revokeObjectURL, () => {});
      images.delete(oldest);
    }
    return images.get(key);
  };

  let rater = "", current = null, last = null, value = null, going = null; // going: what follows the feedback
  let failed = null; // the key of the image that could not be shown last
  let sitting = null; // the session that goes on
  let busy = true, since = 0, away = 0, left = null; // since: when the image was shown; away: milliseconds hidden or paused
  const tell = (sentence) => { $("live").textContent = sentence; };
  const screen_ = (id) => ["start", "session", "rest"].forEach((one) => { $(one).hidden = one !== id; });
  const shownIn = (id) => !$(id).hidden;

  // One pixel of the image is one of the screen, or the image is made smaller; it is never made larger.
  const fit = () => {
    const image = $("image"), ratio = devicePixelRatio, { width, height } = $("stage").getBoundingClientRect();
    if (!image.naturalWidth || !width) return null;
    const scale = Math.min(1, (width * ratio) / image.naturalWidth, (height * ratio) / image.naturalHeight);
    const shown = [image.naturalWidth, image.naturalHeight].map((side) => (scale < 1 ? Math.max(1, Math.floor(side * scale)) : side));
    [image.style.width, image.style.height] = shown.map((side) => `${side / ratio}px`);
    const size = { width: image.naturalWidth, height: image.naturalHeight, percent: Math.round(100 * scale) };
    $("size").textContent = say(scale < 1 ? "scaled" : "one_to_one", size);
    return shown;
  };
  addEventListener("resize", fit);

  const free = () => {
    busy = false;
    $("session").removeAttribute("aria-busy");
  };
  const settle = () => {
    since = performance.now();
    [away, left] = [0, document.hidden ? since : null];
    setTimeout(free, SETTLING);
  };
  const leave = () => { left ??= performance.now(); };
  const comeBack = () => { if (left !== null) away += performance.now() - left; left = null; };
  document.addEventListener("visibilitychange", () => (document.hidden ? leave() : shownIn("session") && comeBack()));

  const clear = () => {
    value = null;
    $("answer-said").textContent = "";
    document.querySelectorAll("#choices input[type=radio]").forEach((radio) => { radio.checked = false; });
    if ($("line")) setLine(null);
  };

  const present = async (one, ahead) => {
    busy = true;
    $("session").setAttribute("aria-busy", "true");
    $("session").classList.add("waiting");
    screen_("session");
    $("answer").hidden = false;
    $("feedback").hidden = true;
    clear();
    const place = one.length ? say("progress", one) : words.practice;
    $("progress-words").textContent = place;
    $("track").value = one.length ? (one.place - 1) / one.length : 0;
    try {
      $("image").src = await load(one.key);
      await $("image").decode();
    } catch (error) {
      if (failed === one.key) return rest("not_open", reason(error));
      failed = one.key;
      return enter(); // it cannot be shown: the server knows by now, and has another
    }
    current = one;
    kept("link", one.key);
    sitting = one.session;
    $("session").classList.remove("waiting");
    fit();
    if (!["INPUT", "BUTTON"].includes(document.activeElement?.tagName)) $("stage").focus({ preventScroll: true });
    tell(`${$("saved").textContent} ${place}`);
    settle();
    if (ahead) load(ahead.key).catch(() => {});
  };

  const go = (next) => {
    going = null;
    if (!next.current) return rest("done", words.done_words);
    if (sitting !== null && next.current.session > sitting) {
      sitting = next.current.session;
      rest("rest", say("rest_words", { count: current.length }));
      return load(next.current.key).catch(() => {});
    }
    return present(next.current, next.ahead);
  };

  const rest = (why, sentence) => {
    current = why === "paused" ? current : null;
    $("rest-title").textContent = words[why] || data.title;
    $("rest-words").textContent = sentence;
    $("rest-saved").textContent = $("saved").textContent;
    $("continue").hidden = why === "done";
    $("rest-undo").hidden = !last || why === "not_open";
    $("elsewhere").hidden = Boolean(data.signed_in) || why === "done" || !kept("link");
    const link = new URL(`#${kept("link")}`, location.href).href;
    Object.assign($("link"), { href: link, textContent: link });
    screen_("rest");
    $("rest").focus();
    busy = false;
    tell("");
  };

  // Begins or goes on: what the server has on screen for this rater, which holds the image's place for longer.
  const enter = async () => {
    const link = location.hash.slice(1) || null;
    const state = await call("enter", { rater, link }).catch((error) => {
      screen_("start");
      $("start-said").textContent = reason(error);
    });
    if (!state) return;
    rater = state.rater;
    kept("rater", rater);
    if (current && current.key === state.current?.key && shownIn("rest")) {
      screen_("session");
      comeBack();
      free();
    } else await go(state);
  };

  const submit = async () => {
    if (busy || !current || shownIn("feedback")) return;
    if (value === null) {
      $("answer-said").textContent = words.choose;
      return;
    }
    busy = true;
    $("session").setAttribute("aria-busy", "true");
    const seconds = Math.max(0, performance.now() - since - away) / 1000, window_ = [innerWidth, innerHeight];
    const view = { screen: [screen.width, screen.height], window: window_, shown: fit(), ratio: devicePixelRatio };
    await send({ key: current.key, value, seconds, view });
  };

  const send = async (rating) => {
    kept("unsent", rating);
    try {
      const answer = await call("rate", rating);
      kept("unsent", null);
      saved(answer.saved);
      last = rating.key;
      if (answer.explanation || data.reveal) await feedback(answer);
      else await go(answer);
    } catch (error) {
      kept("unsent", null);
      free();
      $("answer-said").textContent = reason(error);
    }
  };

  const saved = ({ at, value: answer }) => {
    const time = new Date(at).toLocaleTimeString(data.lang, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
    $("saved").textContent = say("saved", { time });
    $("feedback-words").textContent = say("kept", { answer: data.scale === "acr" ? data.labels[answer - 1] : answer });
  };

  const feedback = async (answer) => {
    going = answer;
    if (answer.explanation) $("feedback-words").textContent += ` ${answer.explanation}`;
    $("score").textContent = "";
    $("answer").hidden = true;
    $("feedback").hidden = false;
    if (data.reveal) {
      const shown = await call("reveal", { key: last }).catch(() => null);
      $("score").textContent = shown
        ? say("score", { score: shown.score.toFixed(2), low: shown.scale[0], high: shown.scale[1] }) : words.no_score;
    }
    fit();
    tell(`${$("saved").textContent}. ${$("feedback-words").textContent} ${$("score").textContent}`);
    $("next").focus();
    setTimeout(free, SETTLING);
  };

  const undo = async () => {
    const key = current && !shownIn("feedback") ? current.key : last;
    if (busy || !key) return;
    busy = true;
    $("session").setAttribute("aria-busy", "true");
    try {
      const before = await call("undo", { key });
      if (before.current) {
        sitting = before.current.session;
        return await present(before.current, null);
      }
      $("answer-said").textContent = words.nothing_before;
    } catch (error) {
      $("answer-said").textContent = reason(error);
    }
    free();
  };

  const pause = () => {
    if (busy || shownIn("feedback")) return;
    leave();
    rest("paused", words.paused_words);
  };

  const goOn = () => {
    if (busy) return;
    busy = true;
    if (going) go(going);
    else enter();
  };

  // The scale: words with a key each, or a line without a mark until it is used.
  const choose = (chosen) => {
    if (busy) return clear();
    value = chosen;
    $("answer-said").textContent = "";
    if (data.scale === "acr") document.querySelector(`#choices input[value="${chosen}"]`).checked = true;
    if ($("at-once").checked && data.scale === "acr") submit();
  };
  const setLine = (chosen) => {
    value = chosen;
    const line = $("line");
    line.parentElement.classList.toggle("unset", chosen === null);
    line.value = chosen ?? 0;
    line.setAttribute("aria-valuetext", chosen ?? words.not_set);
    $("line-value").textContent = chosen ?? "–";
  };
  let typed = "", typedAt = 0;
  const type = (digit) => {
    typed = performance.now() - typedAt < 1200 ? typed + digit : digit;
    if (Number(typed) > data.high) typed = digit;
    typedAt = performance.now();
    setLine(Number(typed));
  };
  const make = (tag, properties, ...parts) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...parts);
    return made;
  };
  const buildScale = () => {
    $("question").textContent = data.question;
    if (data.scale === "acr") {
      $("choices").className = "words";
      data.labels.forEach((label, n) => {
        const radio = make("input", { type: "radio", name: "answer", value: n + 1, ariaKeyShortcuts: `${n + 1}` });
        radio.addEventListener("change", () => choose(n + 1));
        $("choices").append(make("label", {}, radio, make("kbd", { textContent: n + 1, ariaHidden: "true" }), make("span", { textContent: label })));
      });
    } else {
      const line = make("input", { type: "range", id: "line", min: data.low, max: data.high, step: 1, ariaLabel: data.question });
      line.addEventListener("input", () => (busy ? clear() : setLine(Number(line.value))));
      line.addEventListener("pointerdown", () => $("line").parentElement.classList.remove("unset"));
      line.addEventListener("pointerup", () => (busy ? clear() : setLine(Number(line.value))));
      $("choices").append(
        make("div", { className: "line unset" }, line, make("output", { id: "line-value" })),
        make("div", { className: "marks" }, ...data.labels.map((label) => make("span", { textContent: label }))),
      );
      $("at-once").parentElement.hidden = true;
    }
    clear();
  };

  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || target.id === "name") return;
    const pressed = ["BUTTON", "A"].includes(target.tagName);
    if (key.toLowerCase() === "u" && !event.repeat && !shownIn("start")) return undo();
    if (!shownIn("session")) return;
    if (key === "Enter" && !pressed) {
      event.preventDefault();
      if (event.repeat || busy) return;
      if (shownIn("feedback")) goOn();
      else submit();
    } else if (busy || shownIn("feedback")) {
      if (key.startsWith("Arrow") && target.name === "answer") event.preventDefault();
    } else if (data.scale === "acr" && key >= "1" && key <= "5" && !event.repeat) {
      event.preventDefault();
      choose(Number(key));
    } else if (data.scale === "acr" && key.startsWith("Arrow")) {
      // Browsers would choose at once; with "submit as soon as I choose", that would submit what was only passed over.
      event.preventDefault();
      const up = ["ArrowRight", "ArrowUp"].includes(key);
      value = value === null ? (up ? 1 : 5) : Math.min(5, Math.max(1, value + (up ? 1 : -1)));
      const radio = document.querySelector(`#choices input[value="${value}"]`);
      radio.checked = true;
      if (target.name === "answer") radio.focus();
      tell(data.labels[value - 1]);
    } else if (data.scale !== "acr" && key >= "0" && key <= "9" && key.length === 1) {
      event.preventDefault();
      type(key);
    } else if (data.scale !== "acr" && key.startsWith("Arrow") && target.id !== "line") {
      event.preventDefault();
      const step = ["ArrowRight", "ArrowUp"].includes(key) ? 1 : -1, middle = (data.low + data.high) / 2;
      setLine(value === null ? middle : Math.min(data.high, Math.max(data.low, value + step)));
    }
  });

  document.querySelectorAll("[data-word]").forEach((one) => { one.textContent = words[one.dataset.word]; });
  $("title").textContent = data.title;
  if (data.state !== "open") {
    $("closed").textContent = words[`state_${data.state}`];
    $("closed").hidden = false;
    return;
  }
  $("image").alt = words.image;
  $("instructions").textContent = data.instructions;
  $("how-keys").textContent = say(data.scale === "acr" ? "how_keys_acr" : "how_keys_line", { keys: "1–5", low: data.low, high: data.high });
  $("how-training").textContent = say("how_training", { count: data.training });
  $("how-training").hidden = !data.training;
  document.querySelector("[data-word=how_break]").textContent = say("how_break", { count: data.length });
  $("begin").hidden = false;
  buildScale();
  const known = data.signed_in || kept("rater");
  $("name").required = !data.signed_in;
  $("name").value = data.signed_in ? "" : known || "";
  if (known) $("go").textContent = words.continue;
  if (data.signed_in) $("signed-in").textContent = say("signed_in", { name: data.signed_in });
  if (data.signed_in || data.refused) $("name-label").hidden = $("name-help").hidden = true;
  if (data.refused) {
    $("start-said").textContent = words[`error_${data.refused.code}`] || data.refused.sentence;
    if (data.sign_in && !data.signed_in) $("go").replaceWith(make("a", { href: data.sign_in, textContent: words.sign_in }));
    else $("go").hidden = true;
  }
  $("at-once").checked = Boolean(kept("at once"));
  $("at-once").addEventListener("change", () => kept("at once", $("at-once").checked));
  $("begin").addEventListener("submit", async (event) => {
    event.preventDefault();
    rater = data.signed_in || $("name").value;
    $("start-said").textContent = "";
    $("go").disabled = true;
    const unsent = kept("unsent");
    // What was on its way when the page was closed. Where the server does not want it, the rater sees the image again.
    if (unsent) await call("rate", unsent).catch(() => {});
    kept("unsent", null);
    await enter();
    $("go").disabled = false;
  });
  $("answer").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  $("undo").addEventListener("click", undo);
  $("rest-undo").addEventListener("click", undo);
  $("pause").addEventListener("click", pause);
  $("next").addEventListener("click", goOn);
  $("continue").addEventListener("click", goOn);
})();
