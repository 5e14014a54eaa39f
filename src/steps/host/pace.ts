// How quickly rows are done, and when they will be, told from the last batches alone: the first ones, or those before a resume, say little of now.

export interface Pace {
  /** `12,300 rows/s, about 3 min left`; nothing before two batches have been done. */
  readonly note: (done: number, total: number) => string;
}

const looksBackMs = 10_000;
const mostSamples = 64;

/** `now` in milliseconds, from anywhere. */
export function createPace(startAt: number, now: () => number = () => performance.now()): Pace {
  let samples: { readonly at: number; readonly done: number }[] = [{ at: now(), done: startAt }];
  return {
    note: (done, total) => {
      const at = now();
      samples.push({ at, done });
      if (samples.length > mostSamples) samples = samples.filter((_, index) => index % 2 === 1);
      while (samples.length > 2 && at - (samples[1]?.at ?? at) > looksBackMs) samples.shift();
      const [first] = samples;
      if (first === undefined || at <= first.at || done <= first.done) return '';
      const perSecond = ((done - first.done) / (at - first.at)) * 1000;
      const rate = `${grouped(perSecond)} rows/s`;
      return done < total ? `${rate}, about ${duration((total - done) / perSecond)} left` : rate;
    },
  };
}

function grouped(count: number): string {
  return count < 10 ? count.toFixed(1) : Math.round(count).toLocaleString('en');
}

function duration(seconds: number): string {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 90) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
