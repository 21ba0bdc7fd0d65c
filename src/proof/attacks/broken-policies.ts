/** Policy files without a clear meaning: half written, unknown, for another program, or larger than any file may be. */

export interface BrokenPolicy {
  readonly text: string;
  /** what the refusal must name */
  readonly names: RegExp;
}

const place = /policy[\w.-]*\.yaml:\d+/;

export const brokenPolicies: Readonly<Record<string, BrokenPolicy>> = {
  'an empty file': { text: '', names: place },
  'a list': { text: '- version: 1\n', names: place },
  'half a file': { text: 'version: 1\nnetwork:\n  - host: "a.exam', names: place },
  'no version': { text: 'network: []\n', names: /version/ },
  'a version that is not known': { text: 'version: 99\n', names: /version/ },
  'a key that is not known': { text: 'version: 1\nallowedDomains: ["a.example"]\n', names: /allowedDomains/ },
  'a key that is not known, further in': {
    text: 'version: 1\nnetwork:\n  - host: a.example\n    unless: b.example\n',
    names: /unless/,
  },
  'a key twice': { text: 'version: 1\nnetwork: []\nnetwork:\n  - host: a.example\n', names: place },
  'nothing where rules should be': { text: 'version: 1\nnetwork:\n', names: /network/ },
  'every host': { text: 'version: 1\nnetwork:\n  - host: "*"\n', names: place },
  'every host of a public suffix': { text: 'version: 1\nnetwork:\n  - host: "*.com"\n', names: place },
  'an address in place of a host': { text: 'version: 1\nnetwork:\n  - host: "http://a.example/"\n', names: place },
  'a layer that does not exist': { text: 'version: 1\nwaive: [everything]\n', names: /everything/ },
  'a level that does not exist': { text: 'version: 1\nlevel: none\n', names: /level/ },
  'an alias': { text: 'version: 1\nnetwork: &x\n  - host: a.example\npresets: *x\n', names: place },
  'a tag': { text: 'version: 1\nnetwork: !!js/function "function () {}"\n', names: place },
  'two documents': { text: 'version: 1\n---\nversion: 1\nnetwork: []\n', names: place },
  'bytes that are no text': { text: 'version: 1\n\u0000\n', names: /policy/ },
};
