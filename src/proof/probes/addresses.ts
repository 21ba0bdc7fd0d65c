import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';

import { innerAddresses } from '../attacks/inner-addresses.ts';
import { callerIn } from '../clients/caller.ts';
import { requestText } from '../clients/request-text.ts';
import { attack, control, type Row } from '../finding.ts';
import { hosts } from '../lab/hosts.ts';
import type { Lab } from '../lab/lab.ts';
import { settle, unseenRow, watch, watchJournal } from '../oracle.ts';
import type { ProbeTable } from '../probe.ts';

/** Allowed names that lead where no public name may (G10): the address that was judged must be the one that is dialled. */

const label = (): string => randomBytes(3).toString('hex');

/** Public by its range and nobody's: of the 6bone, given back for good (RFC 3701). Nothing is there that could answer. */
const nobody = '3ffe::1';

/** An allowed name that leads to one address, and how it is connected to. */
interface Lure {
  readonly address: string;
  readonly host: string;
  readonly port: number;
}

/** Each address under a name of its own; some also where TLS is opened and the key put in (of new names a few each second). */
function luresFor(addresses: readonly string[], port: number): readonly Lure[] {
  return addresses.flatMap((address, index) =>
    (index % 4 === 0 ? [hosts.flip, hosts.flipOpened] : [hosts.flip]).map((host) => ({
      address,
      host: `${label()}.${host}`,
      port,
    })),
  );
}

async function take({ twin }: Lab, { host, port }: Lure): Promise<void> {
  await callerIn(twin).secure({ host, port }, [requestText({ host })], { quietMs: 3000 });
}

/** The listener on loopback must be alive, or its silence means nothing. */
async function aliveRow(lab: Lab): Promise<Row> {
  const oracle = watch(lab.world);
  const socket = connect(lab.world.ports.inner, '127.0.0.1');
  await once(socket, 'connect').catch(() => undefined);
  await settle(50);
  socket.destroy();
  const found = oracle.arrived().filter(({ server }) => server === 'inner');
  return control('the listener on loopback, called from the host', {
    expected: 'connection',
    seen: found[0]?.kind ?? 'nothing',
    ok: found.length > 0,
    from: 'outside',
  });
}

function askedRow(lures: readonly Pick<Lure, 'host'>[], asked: readonly string[]): Row {
  const known = new Set(asked.map((name) => name.toLowerCase()));
  const silent = lures.filter(({ host }) => !known.has(host));
  return control('the gateway asked the resolver for each name', {
    expected: 'all',
    seen: silent.length === 0 ? 'all' : `not for ${silent.map(({ host }) => host).join(' ')}`.slice(0, 300),
    ok: silent.length === 0,
    from: 'outside',
  });
}

async function lure(lab: Lab, lures: readonly Lure[], servers: readonly string[]): Promise<readonly Row[]> {
  const oracle = watch(lab.world);
  const journal = await watchJournal(lab);
  lures.forEach(({ host, address }) => lab.world.resolve(host, [[address]]));
  await Promise.all(lures.map((one) => take(lab, one)));
  await settle(250);
  const records = await journal();
  const outcomes = new Map(
    records.filter(({ action }) => action === 'net.exchange').map(({ subject, outcome }) => [subject, outcome]),
  );
  const rows = lures.map(({ address, host, port }) => {
    const outcome = outcomes.get(`${host}:${port}`);
    return attack(`${host.endsWith(hosts.flip) ? 'TLS as it is' : 'TLS opened, with the key'}, to ${address}`, {
      expected: 'address-refused',
      seen: outcome ?? 'nothing on record',
      // Who did not wait for the verdict has not been let through.
      ok: outcome === undefined || outcome === 'caller-gone' ? undefined : outcome === 'address-refused',
      from: 'outside',
    });
  });
  const reached = oracle.arrived().filter(({ server }) => servers.includes(server));
  return [
    ...rows,
    unseenRow('listeners on addresses of this host', reached),
    askedRow(lures, oracle.asked()),
    await aliveRow(lab),
  ];
}

export const addressProbes: ProbeTable = {
  'addresses.inner': {
    where: 'lab',
    title: 'have an allowed name lead to loopback, private, link-local, metadata and reserved addresses',
    proves: ['G10'],
    profile: 'full',
    source: 'DNS rebinding; CVE-2025-59159; SSRF rules of OpenShell and microsandbox',
    async run(lab) {
      const { inner } = lab.world.ports;
      return { rows: await lure(lab, luresFor([...innerAddresses.A, ...innerAddresses.AAAA], inner), ['inner']) };
    },
  },
  'addresses.own-host': {
    where: 'lab',
    title: "have an allowed name lead to this host's own addresses",
    proves: ['G10'],
    profile: 'full',
    source: 'host aliases of Docker, pasta and slirp4netns',
    async run(lab) {
      const rows = Object.values(networkInterfaces()).flatMap((found) => found ?? []);
      const own = rows.filter(({ internal, address }) => !internal && !address.startsWith('fe80')).slice(0, 6);
      if (own.length === 0) {
        return { notApplicable: 'this host has no address beside loopback' };
      }
      const { inner } = lab.world.ports;
      const listening = own.map(({ address }) => lab.world.listen('own', address, inner).catch(() => undefined));
      await Promise.all(listening);
      const addresses = own.map(({ address }) => address);
      return { rows: await lure(lab, luresFor(addresses, inner), ['inner', 'own']) };
    },
  },
  'addresses.changing': {
    where: 'lab',
    title: 'have an allowed name change its address between check and use, and mix good and bad ones',
    proves: ['G10'],
    profile: 'full',
    source: 'DNS rebinding',
    async run(lab) {
      const { inner: port } = lab.world.ports;
      const oracle = watch(lab.world);
      const turns = [[nobody], ['127.0.0.1'], [nobody, '127.0.0.1'], ['127.0.0.1', nobody], ['10.0.0.1', '127.0.0.1'], ['::1']];
      const names = [`${label()}.${hosts.flip}`, `${label()}.${hosts.flipOpened}`, hosts.rebind];
      names.forEach((host) => lab.world.resolve(host, turns));
      for (let turn = 0; turn < turns.length; turn += 1) {
        // oxlint-disable-next-line no-await-in-loop -- one turn after the other
        await Promise.all(names.map((host) => take(lab, { host, port, address: '' })));
      }
      await settle();
      const reached = oracle.arrived().filter(({ server }) => server === 'inner');
      const asked = names.map((name) => oracle.asked().filter((one) => one.toLowerCase() === name).length);
      return {
        rows: [
          unseenRow(`${names.length} names, ${turns.length} turns each`, reached),
          control('each name was resolved anew each time', {
            expected: `at least ${turns.length}`,
            seen: asked.join(' '),
            ok: asked.every((count) => count >= turns.length),
            from: 'outside',
          }),
          await aliveRow(lab),
        ],
      };
    },
  },
};
