// One embedded part: a child process in a session of its own with its log in a file, that ends when the launcher ends
// (however that ends), is started again when it dies, and whose early death is reported with the end of its log.
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { Problem } from '../setup/shell.mjs';
import { markOf, markVariable, signalQuietly } from './marked.mjs';

const largestLogBytes = 16 * 1024 * 1024;
const restartsPerMinute = 5;

/** Opens the log for appending and returns where this start's lines begin. */
function openLog(file, headline) {
  mkdirSync(dirname(file), { recursive: true });
  if (existsSync(file) && statSync(file).size > largestLogBytes) renameSync(file, `${file}.1`);
  const descriptor = openSync(file, 'a', 0o600);
  writeSync(descriptor, `--- ${new Date().toISOString()} ${headline}\n`);
  return { descriptor, from: statSync(file).size };
}

export class Part {
  #child;
  #logFrom = 0;
  #stopping = false;
  #deaths = [];
  #exited = Promise.resolve();
  #wasReady = false;

  /**
   * @param {{ name: string, state: string, logFile: string, command: string, args: string[], env: object, say: (line: string) => void,
   *   prefix?: string[], stopSignal?: string, graceSeconds?: number, readySeconds?: number, remedy: string, restart?: boolean,
   *   isReady: (part: Part) => Promise<unknown>, beforeStart?: () => void }} options
   *   `isReady` is asked until it returns something that is true; `prefix` goes before the command (setpriv's options of another user).
   */
  constructor(options) {
    this.options = { stopSignal: 'SIGTERM', graceSeconds: 20, readySeconds: 60, restart: true, prefix: [], ...options };
    this.name = options.name;
  }

  get pid() {
    return this.#child?.pid;
  }

  get isRunning() {
    return this.#child?.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** What this start of the part has written to its log. */
  logText() {
    return readFileSync(this.options.logFile).subarray(this.#logFrom).toString('utf8');
  }

  /** The JSON line `{"ready":true,...}` that our own programs print when they serve. */
  readyLine() {
    const line = this.logText().split('\n').find((text) => text.startsWith('{') && text.includes('"ready":true'));
    return line && JSON.parse(line);
  }

  /** Starts and waits until it serves; returns what `isReady` returned. */
  async start() {
    this.#stopping = false;
    this.#wasReady = false;
    this.#launch();
    const deadline = performance.now() + this.options.readySeconds * 1000;
    for (;;) {
      if (!this.isRunning) throw this.#problem(`ended before it was ready (${this.#child.signalCode ?? `exit code ${this.#child.exitCode}`})`);
      const answer = await this.options.isReady(this).catch((error) => this.#giveUp(error));
      if (answer) {
        this.#wasReady = true;
        return answer;
      }
      if (performance.now() > deadline) await this.#giveUp(this.#problem(`was not ready after ${this.options.readySeconds} s`));
      await sleep(50);
    }
  }

  async #giveUp(error) {
    await this.stop();
    throw error;
  }

  #launch() {
    const { name, state, command, args, env, prefix, stopSignal, logFile, beforeStart } = this.options;
    beforeStart?.();
    const { descriptor, from } = openLog(logFile, `${command} ${args.join(' ')}`);
    this.#logFrom = from;
    // setpriv replaces itself by the command, so the pid is the command's own.
    const child = spawn('setpriv', [...prefix, '--pdeathsig', stopSignal.replace('SIG', ''), '--', command, ...args], {
      cwd: state, detached: true, stdio: ['ignore', descriptor, descriptor], env: { ...env, [markVariable]: markOf(name, state) },
    });
    closeSync(descriptor);
    this.#child = child;
    this.#exited = new Promise((done) => {
      child.once('error', done);
      child.once('exit', done);
    });
    child.once('exit', () => { if (child === this.#child) this.#afterExit(); });
  }

  #problem(what) {
    const tail = this.logText().trimEnd().split('\n').slice(-12).map((line) => `    ${line}`).join('\n');
    return new Problem(`${this.name} ${what}. The end of ${this.options.logFile}:\n${tail}`, this.options.remedy);
  }

  /** Only a part that has been ready and that nobody stopped is started again; a failing start is start()'s to report. */
  #afterExit() {
    if (this.#stopping || !this.#wasReady || !this.options.restart) return;
    const { say } = this.options;
    const now = Date.now();
    this.#deaths = [...this.#deaths.filter((at) => now - at < 60_000), now];
    if (this.#deaths.length > restartsPerMinute) {
      say(this.#problem(`died ${this.#deaths.length} times within a minute and is not started again`).message);
      return;
    }
    say(`${this.name} died (${this.#child.signalCode ?? `exit code ${this.#child.exitCode}`}): starting it again`);
    setTimeout(() => { if (!this.#stopping) this.start().catch((error) => { if (!this.#stopping) say(error.message); }); }, 200 * this.#deaths.length);
  }

  /** Asks to end, waits, and insists on its whole session at the end. */
  async stop() {
    this.#stopping = true;
    if (!this.isRunning) return;
    const { pid } = this.#child;
    signalQuietly(pid, this.options.stopSignal);
    const insist = setTimeout(() => {
      this.options.say(`${this.name} did not end within ${this.options.graceSeconds} s: killing it`);
      signalQuietly(-pid, 'SIGKILL');
    }, this.options.graceSeconds * 1000);
    await this.#exited;
    clearTimeout(insist);
  }

  /** For crash tests: the signal and nothing else; nothing is started again until start(). */
  async crash(signal = 'SIGKILL') {
    this.#stopping = true;
    if (!this.isRunning) return;
    signalQuietly(this.#child.pid, signal);
    await this.#exited;
  }
}
