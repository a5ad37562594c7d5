// Alerts as signed HTTP POSTs, one for each notice. The receiver checks `X-Holdfast-Signature` (HMAC-SHA256 of the body with the shared secret, as
// GitHub's webhooks have it) and may see a notice twice: `X-Holdfast-Delivery` is the same then.
import { createHmac } from 'node:crypto';
import { request } from 'undici';
import { HoldfastError } from '../../domain/failures';

export interface WebhookNotice {
  readonly noticeId: string;
  readonly [field: string]: unknown;
}

const deadlineMs = 15_000;
const longestAnswer = 300;

export function signatureOf(secret: string, body: string): string {
  return `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
}

/** Any answer of 2xx is taken for delivered. Everything else is `webhook.failed`, which is tried again. */
export async function postWebhook({ url, secret }: { readonly url: string; readonly secret: () => string }, notice: WebhookNotice): Promise<void> {
  const body = JSON.stringify(notice);
  const host = new URL(url).host;
  const answer = await request(url, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', 'user-agent': 'holdfast', 'x-holdfast-delivery': notice.noticeId, 'x-holdfast-signature': signatureOf(secret(), body) },
    headersTimeout: deadlineMs,
    bodyTimeout: deadlineMs,
  }).catch((error: unknown) => {
    throw new HoldfastError('webhook.failed', `The webhook at ${host} did not take notice ${notice.noticeId}: ${(error as Error).message}. Start its receiver, or correct alerts.webhook.url.`, { host }, { cause: error });
  });
  const text = await answer.body.text().catch(() => '');
  if (answer.statusCode >= 200 && answer.statusCode < 300) return;
  throw new HoldfastError('webhook.failed', `The webhook at ${host} answered notice ${notice.noticeId} with ${answer.statusCode}: ${text.slice(0, longestAnswer)}. Mend its receiver, or correct alerts.webhook.`, { host, status: answer.statusCode });
}
