// Log-in with the engine's single sign-on: one token for all requests, fetched once however many wait for it, and fetched
// again when the engine says that it no longer counts. Its life time is unknown (idle time-out, engine restart), so only a
// 401 ends it. The password is read anew for each log-in, so that a changed secret needs no restart.
import { z } from 'zod';
import { HoldfastError } from '../../domain/failures';
import { excerpt, parseJson } from './faults';
import type { HttpReply, Transport } from './transport';

export interface SsoOptions {
  readonly engineName: string;
  readonly basePath: string;
  readonly username: string;
  readonly password: () => Promise<string>;
}

export interface Sso {
  token(): Promise<string>;
  /** A later `token()` logs in again, unless somebody else already did. */
  forget(token: string): void;
  /** Ends the session; failures are of no interest, the engine drops idle sessions by itself. */
  logout(): Promise<void>;
}

const scope = 'ovirt-app-api';
const grantSchema = z.object({ access_token: z.string().min(1) });
/** Old engines answer 200 with an error inside; the two forms depend on the scope. */
const refusalSchema = z
  .object({ error: z.string(), error_code: z.string().optional(), error_description: z.string().optional() })
  .transform((body) => ({ code: body.error_code ?? body.error, text: body.error_description ?? body.error }));

export function createSso(transport: Transport, options: SsoOptions): Sso {
  let pending: Promise<string> | undefined;
  let current: string | undefined;

  const logIn = async (): Promise<string> => {
    try {
      current = await requestToken(transport, options);
      return current;
    } catch (error) {
      pending = undefined;
      throw error;
    }
  };

  return {
    token: () => (pending ??= logIn()),
    forget(token) {
      if (token !== current) return;
      current = undefined;
      pending = undefined;
    },
    async logout() {
      if (current === undefined) return;
      const body = new URLSearchParams({ scope, token: current }).toString();
      pending = current = undefined;
      await transport
        .exchange({ method: 'POST', path: `${options.basePath}/services/sso-logout`, headers: formHeaders, body, what: 'logging out', timeoutMs: 5_000 })
        .catch(() => undefined);
    },
  };
}

const formHeaders = { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' };

async function requestToken(transport: Transport, options: SsoOptions): Promise<string> {
  const password = await options.password();
  const body = new URLSearchParams({ grant_type: 'password', scope, username: options.username, password }).toString();
  const reply = await transport.exchange({ method: 'POST', path: `${options.basePath}/sso/oauth/token`, headers: formHeaders, body, what: `logging in as "${options.username}"` });
  const answer = parseJson(reply.text);
  const grant = grantSchema.safeParse(answer);
  if (reply.status === 200 && grant.success) return grant.data.access_token;
  throw loginFailure(reply, answer, options, password);
}

function loginFailure(reply: HttpReply, answer: unknown, options: SsoOptions, password: string): HoldfastError {
  const subject = `Engine "${options.engineName}"`;
  const details = { engine: options.engineName, username: options.username, httpStatus: reply.status };
  const refusal = refusalSchema.safeParse(answer);
  if (refusal.success && refusal.data.code !== 'server_error') {
    const { code, text } = refusal.data;
    const remedy = code === 'unauthorized_client' ? 'Use the full host name of the engine in its url.' : 'Check the user name (with its profile, such as admin@internal) and the password file of this engine.';
    return new HoldfastError(
      'engine.unauthorized',
      `${subject} refused the log-in of "${options.username}": ${hide(password, text)} (${code}). ${remedy}`,
      { ...details, ssoError: code },
    );
  }
  const words = hide(password, refusal.success ? refusal.data.text : excerpt(reply.text));
  if (reply.status >= 500 || refusal.success) {
    return new HoldfastError('engine.unavailable', `${subject} cannot log in "${options.username}" now: HTTP ${reply.status} ${words}`.trimEnd() + '. It is tried again.', details);
  }
  return new HoldfastError(
    'engine.protocol',
    `${subject} answered the log-in of "${options.username}" with HTTP ${reply.status} and no token: ${words === '' ? '(empty)' : words}. Check that this engine's url is the engine itself (https://<host>/ovirt-engine).`,
    details,
  );
}

/** A server may echo what it was sent. */
function hide(secret: string, text: string): string {
  return secret === '' ? text : text.replaceAll(secret, '***');
}
