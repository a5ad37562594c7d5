// The engine's single sign-on: password grant, logout. Faults are 400 JSON (ovirt-api.md section 1.1).
import type { Sessions } from './sessions';

export interface SsoReply {
  readonly status: number;
  readonly json: Readonly<Record<string, string>>;
}

const apiScope = 'ovirt-app-api';
const tokenLifeMs = 7 * 24 * 3600 * 1000;

/** With an API-only scope the engine uses its own two keys, otherwise OAuth's. */
function fault(scope: string, code: string, text: string): SsoReply {
  return { status: 400, json: scope === apiScope ? { error_code: code, error: text } : { error: code, error_description: text } };
}

export function issueToken(form: URLSearchParams, sessions: Sessions): SsoReply {
  const scope = form.get('scope') ?? '';
  const grant = form.get('grant_type');
  if (grant === null) return fault(scope, 'invalid_request', "Missing parameter: 'grant_type'");
  if (grant !== 'password') return fault(scope, 'unsupported_grant_type', `Unsupported grant type '${grant}'`);
  const missing = ['username', 'password'].find((name) => form.get(name) === null);
  if (missing !== undefined) return fault(scope, 'invalid_request', `Missing parameter: '${missing}'`);
  const session = sessions.check(form.get('username') ?? '', form.get('password') ?? '');
  if (session === undefined) {
    return fault(
      scope,
      'access_denied',
      `Cannot authenticate user '${form.get('username') ?? ''}': Unable to log in. Verify your login information or contact the system administrator.`,
    );
  }
  const token = sessions.open(session);
  return {
    status: 200,
    json: { access_token: token, scope: scope === '' ? apiScope : scope, exp: String(Date.now() + tokenLifeMs), token_type: 'bearer' },
  };
}

export function logOut(form: URLSearchParams, sessions: Sessions): SsoReply {
  const token = form.get('token');
  if (token === null) return fault(form.get('scope') ?? '', 'invalid_request', "Missing parameter: 'token'");
  sessions.close(token);
  return { status: 200, json: {} };
}
