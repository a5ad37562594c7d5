// Waits until something holds; the deadline is for a machine that is busy.
import { setTimeout as sleep } from 'node:timers/promises';

export async function until(what, look, seconds = 180) {
  for (const endsAt = Date.now() + seconds * 1000; ; await sleep(200)) {
    const found = await look();
    if (found) return found;
    if (Date.now() > endsAt) throw new Error(`waited ${seconds} s in vain until ${what}`);
  }
}
