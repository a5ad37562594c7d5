// Numbers as people read them: sizes in powers of 1024, times in UTC.
export function humanBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  // Already at half a step below: 1023.96 KiB would be written as 1024.0 KiB.
  while (Math.round(value * 10) / 10 >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit] ?? ''}`;
}

export function humanRate(bytesPerSecond: number): string {
  return `${humanBytes(bytesPerSecond)}/s`;
}

/** 42 s · 3 min 05 s · 2 h 07 min · 3 d 04 h */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (seconds < 10 && seconds > 0 && whole !== seconds) return `${seconds.toFixed(1)} s`;
  if (whole < 60) return `${whole} s`;
  const two = (value: number): string => String(value).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86_400)} d ${two(Math.floor((whole % 86_400) / 3600))} h`;
}

/** One line of at most so many bytes of UTF-8: what Temporal takes as a summary or a keyword is limited, and more fails the call. */
export function clippedLine(text: string, longestBytes: number): string {
  const points = Array.from(text.replace(/\s+/g, ' '));
  const bytesOf = (point: string): number => {
    const code = point.codePointAt(0) ?? 0;
    return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  };
  let bytes = 0;
  let end = 0;
  let fitting = 0;
  for (const point of points) {
    bytes += bytesOf(point);
    end += 1;
    // The ellipsis has three bytes.
    if (bytes <= longestBytes - 3) fitting = end;
  }
  return bytes <= longestBytes ? points.join('') : `${points.slice(0, fitting).join('')}…`;
}

/** 2026-11-21 05:42:28 UTC; what is not a time is shown as it is. */
export function formatTime(iso: string): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return iso;
  return `${time.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
