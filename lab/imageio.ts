// The data daemon as the lab's program runs it: the real one, with the lab's certificate, where there is a Python that has it. Without, the lab
// offers no backups and no image transfers.
import path from 'node:path';
import { prepareTls } from './engine/http/tls';
import { createImageioDaemon, type HostLog, type LocalImageioDaemon } from './host';

export async function startImageio(options: {
  readonly stateDirectory: string;
  readonly python: string | undefined;
  readonly log: HostLog;
}): Promise<LocalImageioDaemon | undefined> {
  const { stateDirectory, python, log } = options;
  if (python === undefined) {
    log.warn({}, 'no VM backups and no image transfers: HOLDFAST_SDK_PYTHON names no Python that has the ovirt-imageio package');
    return undefined;
  }
  const { caFile } = await prepareTls(stateDirectory);
  const beside = (name: string): string => path.join(path.dirname(caFile), name);
  const certificate = { keyFile: beside('server.key'), certFile: beside('server.pem'), caFile };
  const imageio = createImageioDaemon({ stateDir: stateDirectory, python, certificate, log });
  await imageio.start();
  return imageio;
}
