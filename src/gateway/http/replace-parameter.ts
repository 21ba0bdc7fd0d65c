import { decodeOrUndefined, decodedName, formParts, isSameName } from './query.ts';

/** Puts a value into one parameter of a query or a form: in place of a phantom, or at the end. */
export type Replaced =
  | { readonly ok: true; readonly before: string; readonly after: string }
  | { readonly ok: false; readonly fault: 'foreign' | 'unreadable' };

export interface ReplaceOptions {
  readonly parameter: string;
  readonly phantoms: readonly string[];
}

/** The text around the value, which is to be written between `before` and `after` in escaped form. */
export function placeForParameter(text: string, { parameter, phantoms }: ReplaceOptions): Replaced {
  const parts = formParts(text);
  if (parts.some(({ name, value }) => decodeOrUndefined(name) === undefined || decodeOrUndefined(value) === undefined)) {
    return { ok: false, fault: 'unreadable' };
  }
  const own = parts.filter(({ name }) => isSameName(decodedName(name), parameter));
  const [first, ...more] = own;
  if (first === undefined) {
    return { ok: true, before: `${text}${text === '' ? '' : '&'}${encodeURIComponent(parameter)}=`, after: '' };
  }
  const isPhantom = phantoms.includes(decodeOrUndefined(first.value) ?? '');
  if (more.length > 0 || first.isDoubtful || !isPhantom || decodedName(first.name) !== parameter) {
    return { ok: false, fault: 'foreign' };
  }
  const index = parts.indexOf(first);
  const plain = parts.filter(({ isDoubtful }) => !isDoubtful).map((part) => part.text);
  const at = parts.slice(0, index).filter(({ isDoubtful }) => !isDoubtful).length;
  const before = [...plain.slice(0, at), `${first.name}=`].join('&');
  const rest = plain.slice(at + 1).join('&');
  return { ok: true, before, after: rest === '' ? '' : `&${rest}` };
}
