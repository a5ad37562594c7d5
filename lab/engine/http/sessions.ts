// Users, passwords and tokens. Tokens live in memory only: after a restart every client gets a 401, as on the engine.
import { randomBytes, timingSafeEqual } from 'node:crypto';

export interface Session {
  readonly userName: string;
}

export interface Account extends Session {
  readonly password: string;
}

interface LiveSession extends Session {
  lastUsedMs: number;
}

export class Sessions {
  private readonly live = new Map<string, LiveSession>();

  constructor(
    private readonly accounts: readonly Account[],
    private readonly idleSeconds: number,
  ) {}

  /** The profile is `internal`; the part before the @ may also be given as `admin@ovirt`-style principal. */
  check(userName: string, password: string): Session | undefined {
    const account = this.accounts.find((candidate) => candidate.userName === userName);
    return account !== undefined && same(account.password, password) ? { userName: account.userName } : undefined;
  }

  open(session: Session): string {
    const token = randomBytes(48).toString('base64url');
    this.live.set(token, { ...session, lastUsedMs: Date.now() });
    return token;
  }

  /** The session of a token, if it is known and was used recently enough. */
  use(token: string): Session | undefined {
    const session = this.live.get(token);
    if (session === undefined) return undefined;
    if (Date.now() - session.lastUsedMs > this.idleSeconds * 1000) {
      this.live.delete(token);
      return undefined;
    }
    session.lastUsedMs = Date.now();
    return session;
  }

  close(token: string): boolean {
    return this.live.delete(token);
  }

  /** Ends every session at once and says how many there were. */
  expireAll(): number {
    const count = this.live.size;
    this.live.clear();
    return count;
  }
}

function same(expected: string, given: string): boolean {
  const [left, right] = [Buffer.from(expected), Buffer.from(given)];
  return left.length === right.length && timingSafeEqual(left, right);
}
