import { visible } from '../base/text.ts';
import type { Finding, Row, Verdict } from './finding.ts';
import { attackers, guarantees } from './guarantees.ts';
import { probes } from './probes.ts';
import type { GuaranteeVerdict } from './prove.ts';
import { overall, statementText, type Report } from './statement.ts';

/**
 * A report as one file for the person who must judge it: no script, nothing loaded, readable on paper and by keyboard. Every
 * text in it may come from a sandbox: control characters are shown as escapes, markup is escaped.
 */

const words: Readonly<Record<Verdict, string>> = {
  held: 'held',
  broken: 'broken',
  'not-applicable': 'not applicable',
  inconclusive: 'inconclusive',
};

export function proofHtml(report: Report): string {
  const { statement, verdicts, findings } = report;
  const outcome = overall(statement.verdicts);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Casemate proof: ${safe(statement.target.name)}, ${outcome}</title>
<style>${style}</style>
</head>
<body>
<header>
<h1>Proof of <em>${safe(statement.target.name)}</em></h1>
<p class="outcome ${outcome}">${outcome === 'held' ? 'Every guarantee that was attacked held.' : outcome === 'broken' ? 'A guarantee is broken.' : 'Something could not be decided.'}</p>
</header>
<main>
<section aria-labelledby="about"><h2 id="about">What was attacked</h2>
${about(report)}
</section>
<section aria-labelledby="verdicts"><h2 id="verdicts">Guarantees</h2>
<p>Each line opens to what was tried and seen. An <em>attack</em> must be refused; its <em>control</em>, the nearest legal thing, must work in the same run,
or the attack proves nothing. <em>Inside</em> is what a process in the sandbox saw; <em>outside</em> is what this host saw of it.</p>
${verdicts.map((verdict) => guaranteeSection(verdict, findings)).join('\n')}
</section>
<section aria-labelledby="missing"><h2 id="missing">Not attacked in this run</h2>
${notAttacked(verdicts)}
</section>
<section aria-labelledby="who"><h2 id="who">Attackers</h2>
<dl>${Object.entries(attackers)
    .map(([id, text]) => `<dt>${id}</dt><dd>${safe(text)}</dd>`)
    .join('')}</dl>
</section>
<section aria-labelledby="signed"><h2 id="signed">Signature</h2>
${signature(report)}
</section>
</main>
</body>
</html>
`;
}

function about({ statement }: Report): string {
  const { target, image, waived } = statement;
  const rows: readonly (readonly [string, string])[] = [
    ['Sandbox', target.sandbox === undefined ? 'a throw-away one of the policy' : `${target.name} (${target.sandbox})`],
    ['When', statement.time],
    ['Profile', statement.only === undefined ? statement.profile : `${statement.profile}, only ${statement.only.join(', ')}`],
    ['Policy', statement.policyHash],
    ['Plan', statement.planHash],
    ['Image', `${image.recipe} ${image.digest}`],
    ['Engine', `${statement.engine}, ${statement.runtime}: ${statement.runtimeVersion}`],
    ['Kernel', `${statement.kernel} (${statement.architecture})`],
    ['Casemate', statement.casemate],
    ['Waived by a person', waived.length === 0 ? 'nothing' : waived.join(', ')],
    ['Probes', `${statement.probes}, with ${statement.observations} observations`],
  ];
  return `<dl>${rows.map(([name, value]) => `<dt>${safe(name)}</dt><dd>${safe(value)}</dd>`).join('')}</dl>`;
}

function guaranteeSection({ guarantee, verdict, probes: ids }: GuaranteeVerdict, findings: readonly Finding[]): string {
  const own = findings.filter(({ probe }) => ids.includes(probe));
  const { text, against } = guarantees[guarantee];
  return `<details${verdict === 'held' ? '' : ' open'}><summary><span class="badge ${verdict}">${words[verdict]}</span> <strong>${guarantee}</strong> ${safe(text)}
<small>(${own.length} ${own.length === 1 ? 'probe' : 'probes'}; against ${safe(against)})</small></summary>
${own.map(findingSection).join('\n')}
</details>`;
}

function findingSection({ probe, verdict, why, rows, ms }: Finding): string {
  const row = probes[probe];
  const source = row?.source === undefined ? '' : `<p class="source">After: ${safe(row.source)}</p>`;
  return `<article><h3><span class="badge ${verdict}">${words[verdict]}</span> Tries to ${safe(row?.title ?? probe)}</h3>
<p><code>${safe(probe)}</code>, ${ms} ms${why === undefined ? '' : `. ${safe(why)}`}</p>${source}
${rows.length === 0 ? '' : table(rows)}
</article>`;
}

function table(rows: readonly Row[]): string {
  const line = ({ kind, from, what, expected, seen, ok }: Row): string =>
    `<tr class="${ok === true ? 'ok' : ok === false ? 'bad' : 'open'}"><td>${kind}</td><td>${from}</td><td>${safe(what)}</td><td>${safe(expected)}</td><td>${safe(seen)}</td><td>${ok === true ? 'as expected' : ok === false ? 'not as expected' : 'undecided'}</td></tr>`;
  return `<table><thead><tr><th scope="col">kind</th><th scope="col">seen from</th><th scope="col">what</th><th scope="col">expected</th><th scope="col">seen</th><th scope="col">result</th></tr></thead>
<tbody>${rows.map(line).join('\n')}</tbody></table>`;
}

function notAttacked(verdicts: readonly GuaranteeVerdict[]): string {
  const missing = Object.entries(guarantees).filter(([id]) => !verdicts.some(({ guarantee }) => guarantee === id));
  return missing.length === 0
    ? '<p>None: every guarantee was attacked.</p>'
    : `<ul>${missing.map(([id, { text }]) => `<li><strong>${id}</strong> ${safe(text)}</li>`).join('')}</ul>`;
}

function signature({ statement, attestation }: Report): string {
  return `<p>The verdicts, and a digest of everything above, are signed by the key of this installation's journal, <code>${safe(attestation.key)}</code>, and recorded in
it as <code>proof.verdict</code>. Check the machine-readable report with <code>casemate prove --verify REPORT.json</code>; compare the key with
the one that <code>casemate journal verify</code> prints where the proof was made. By other means: the signature is Ed25519 over
<code>casemate proof v1</code>, a line feed, and this text:</p>
<pre>${safe(statementText(statement))}</pre>
<pre>${safe(attestation.signature)}</pre>
<pre>${safe(attestation.publicKey)}</pre>`;
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function safe(text: string): string {
  const lines = text.split('\n').map((line) => visible(line));
  return lines.join('\n').replaceAll(/[&<>"']/g, (character) => entities[character] ?? '');
}

const style = `
:root { color-scheme: light dark; --ok: #1a7f37; --bad: #c1121f; --open: #8a6100; --line: #8884; }
@media (prefers-color-scheme: dark) { :root { --ok: #4ac26b; --bad: #ff6b6b; --open: #e0b040; } }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 70rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; } h3 { font-size: 1rem; margin: 1rem 0 .25rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 0; } dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .4rem 0; padding: .4rem .7rem; } summary { cursor: pointer; } summary:focus-visible { outline: 2px solid; outline-offset: 2px; }
article { margin-left: 1rem; } small, .source { opacity: .75; } .source { margin: .1rem 0; font-size: .85rem; }
.badge { display: inline-block; min-width: 6.5rem; text-align: center; border: 1px solid; border-radius: 1rem; padding: 0 .5rem; font-size: .8rem; font-weight: 600; }
.held, .outcome.held, tr.ok td:last-child { color: var(--ok); } .broken, tr.bad td { color: var(--bad); font-weight: 600; } .inconclusive, .not-applicable, tr.open td:last-child { color: var(--open); }
.outcome { font-size: 1.1rem; font-weight: 600; margin: .3rem 0 0; }
table { border-collapse: collapse; width: 100%; font-size: .85rem; display: block; overflow-x: auto; } th, td { text-align: left; padding: .15rem .5rem; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .8rem; border: 1px solid var(--line); padding: .5rem; }
@media print { details { break-inside: avoid; } body { max-width: none; } }
`;
