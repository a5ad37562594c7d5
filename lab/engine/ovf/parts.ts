// The small pieces that an OVF is written from.
import type { ImageRecord } from '../state/model';
import { element, escapeXml } from '../xml';

export const mib = 1024 ** 2;

export function text(name: string, value: string | number | boolean): string {
  return element(name, escapeXml(String(value)));
}

export function section(type: string, content: string, attributes: Readonly<Record<string, string>> = {}): string {
  return element('Section', content, { ...attributes, 'xsi:type': type });
}

export function href(image: ImageRecord): string {
  return `${image.diskId}/${image.id}`;
}
