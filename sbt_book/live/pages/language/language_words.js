/** What a language model says at a place, and what it loses without some blocks, in words. */

/** Return a probability in percent; small ones as such. */
export function inPercent(value) {
  return value < 1 ? "under 1\u00a0%" : `${Math.round(value)}\u00a0%`;
}

/** Return the first depth from which the model's final word stays the most probable one. */
export function decidedAt(ranks) {
  return ranks.findLastIndex((rank) => rank > 1) + 1;
}

/** Return what the state after block `depth` says after a token; `words` are those of all tokens. */
export function cellWords(sentence, words, depth, token) {
  const { tokens, top, top_probability: probability, rank } = sentence;
  const said = `“${words[top[depth][token]]}” (${inPercent(probability[depth][token])})`;
  const after = `“${tokens.slice(Math.max(token - 2, 0), token + 1).join(" ")}”`;
  const where = depth ? `Block ${depth}` : "Before block 1";
  const last = top.length - 1;
  if (depth === last) return `${where}, after ${after}: ${said}, the final word.`;
  const final = words[top[last][token]];
  const place = rank[depth][token].toLocaleString("en");
  const rest = place === "1" ? "as in the end" : `the final word, “${final}”, has rank ${place}`;
  return `${where}, after ${after}: ${said}; ${rest}.`;
}

/** Return the names of a run of blocks. */
export function runName(start, length) {
  return length === 1 ? `block ${start}` : `blocks ${start} to ${start + length - 1}`;
}

/** Return at how many of a sentence's places the model says something else without a run. */
export function changedPlaces(sentence, start, length) {
  const now = sentence.without[length - 1][start - 1];
  return now.filter((word, token) => word !== sentence.top.at(-1)[token]).length;
}

/** Return what leaving out a run of blocks costs. */
export function removalWords(sentence, loss, start, length) {
  const whole = loss.whole.toFixed(2);
  if (!length) return `All blocks at work: loss ${whole} nats per token.`;
  const places = sentence.tokens.length;
  const changed = changedPlaces(sentence, start, length);
  const now = loss.without[length - 1][start - 1];
  return (
    `Without ${runName(start, length)}: loss ${now.toFixed(2)} instead of ${whole} nats per token. ` +
    `In this sentence the model says something else at ${changed} of ${places} places.`
  );
}
