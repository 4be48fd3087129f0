/** Clicks of slips: the larger the slip, the louder and the lower. */

/** Return `{ on, start, stop, click }`; nothing sounds, or is made ready to, before `start`. */
export function slipSound() {
  let audio = null;
  const sound = {
    get on() {
      return audio !== null;
    },
    start() {
      audio = new AudioContext();
    },
    stop() {
      audio?.close();
      audio = null;
    },
    /** Sound a slip whose size is a share of the largest one that is expected. */
    click(share) {
      if (!audio) return;
      const { pitch, loudness, length } = clickOf(share);
      const tone = new OscillatorNode(audio, { frequency: pitch, type: "triangle" });
      const volume = new GainNode(audio);
      const now = audio.currentTime;
      volume.gain.setValueAtTime(loudness, now);
      volume.gain.exponentialRampToValueAtTime(1e-4, now + length);
      tone.connect(volume).connect(audio.destination);
      tone.start(now);
      tone.stop(now + length);
    },
  };
  return sound;
}

/** Return the pitch in Hz, the loudness up to 1 and the length in s of a click. */
export function clickOf(share) {
  // Sizes span three or four decades, and so do ears: both go by the logarithm.
  const rank = Math.min(Math.max(1 + Math.log10(share) / 3.5, 0), 1);
  return {
    pitch: 1200 * 0.08 ** rank,
    loudness: 0.03 + 0.35 * rank ** 2,
    length: 0.04 + 0.3 * rank,
  };
}
