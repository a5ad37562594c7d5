// What the machine must have before the set-up can do the rest by itself. Everything that is missing is named at once.
import { Problem, onPath, run } from './shell.mjs';

const oldestNode = [20, 19];

export function nodeProblem(version = process.versions.node) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])) return undefined;
  return `Node ${oldestNode.join('.')} or newer (this is ${version}): https://nodejs.org, or your distribution's package nodejs`;
}

/** Asks the interpreter itself: distributions split venv, pip and the headers into packages of their own. */
const pythonProbe = `
import importlib.util, os, sys, sysconfig
missing = []
if sys.version_info < (3, 10): missing.append("version")
if not all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")): missing.append("venv")
if not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")): missing.append("headers")
print(" ".join(missing))
`;

const pythonRemedies = {
  version: 'Python 3.10 or newer as python3',
  venv: "Python's venv module: apt-get install python3-venv",
  headers: "Python's headers (Python.h): apt-get install python3-dev",
};

/** Only what the Python environment needs: `npm start` goes on without it, and without image transfers. */
export async function pythonProblems() {
  const missing = [];
  if (!onPath('gcc')) missing.push('gcc, a C compiler: apt-get install gcc libc6-dev');
  if (!onPath('python3')) return [...missing, 'python3: apt-get install python3 python3-venv python3-dev'];
  const answer = (await run('python3', ['-c', pythonProbe])).trim();
  return [...missing, ...answer.split(' ').filter(Boolean).map((word) => pythonRemedies[word])];
}

export async function checkRequirements({ python }) {
  const missing = [nodeProblem(), ...(python ? await pythonProblems() : [])].filter(Boolean);
  if (process.platform !== 'linux') missing.push('Linux: the lab runs QEMU with Linux features');
  if (missing.length > 0) throw new Problem(`this machine lacks:\n${missing.map((line) => `  - ${line}`).join('\n')}`, 'install what is named above and run the same command again');
}
