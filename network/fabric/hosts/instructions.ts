import { join } from 'node:path';

import { ordererNode, peerNode } from '../layout.ts';
import { filesIn, type HostFolder } from './folder.ts';
import { unitName, USER } from './units.ts';

/** What to open in the firewall of a member's host, and for whom: Markdown. */
export function firewallOf({ own, consortium }: HostFolder): string {
  const { orderer, peer, contract, mspId } = own;
  const others = consortium.members.filter((member) => member.mspId !== mspId);
  const hosts = others.map(({ host }) => host.name).join(', ');
  const rows = [
    [orderer.listen, 'orderer', `the members' hosts: ${hosts}`],
    [peer.listen, 'peer and gateway', `the members' hosts: ${hosts}; the host of the API`],
    [orderer.admin, "orderer's administration", 'nobody: it listens at 127.0.0.1'],
    [orderer.operations, "orderer's health and metrics", 'nobody: it listens at 127.0.0.1'],
    [peer.chaincode, "peer's chaincode listener, unused", 'nobody: it listens at 127.0.0.1'],
    [peer.operations, "peer's health and metrics", 'nobody: it listens at 127.0.0.1'],
    [`${contract}, ${contract + 1}`, 'the contract', 'nobody: it listens at 127.0.0.1'],
  ];
  return `# What to open on the host of ${mspId}

All of it TCP, with TLS from both ends. Nothing else has to be open for Yaoji.

| port | what | open it for |
|--:|---|---|
${rows.map((row) => `| ${row.join(' | ')} |`).join('\n')}

Outgoing: to the orderer and the peer of every other member.

${others.map(({ mspId: name, host, orderer: theirs, peer: its }) => `- ${name}: ${host.name}, ports ${theirs.listen} and ${its.listen}`).join('\n')}
`;
}

/** Which commands to run on a member's host, in which order: Markdown. `command` is how ours are called. */
export function instructionsFor({ own, places, consortium }: HostFolder, command: string): string {
  const { folder } = places;
  const files = filesIn(folder);
  const services = [ordererNode(own), peerNode(own)].map(unitName);
  const run = (rest: string): string => `sudo -u ${USER} ${command} ${rest} --folder ${folder}`;
  const installed = services.map((unit) => join(files.units, unit)).join(' ');
  return `# ${own.mspId} joins the channel ${consortium.channel}

All of this on the host of ${own.mspId}. The folder belongs to the user \`${USER}\`, whom the services run as, and holds the
member's keys: nobody else needs it, ever. Each command can be repeated.

1. **Hand over** \`${files.handOver}\` to whoever assembles; it holds no key. Tell them its SHA-256 by another way
   (\`sha256sum ${files.handOver}\`).
2. **Accept** the folder \`consortium\` that comes back. The command checks that block 0 says what the description and all
   hand-overs say, and prints its SHA-256: every member must have the same.

       ${run('accept consortium')}

3. **Open** what \`${files.firewall}\` lists.
4. **Start** orderer and peer:

       sudo install -m 644 ${installed} /etc/systemd/system/
       sudo systemctl daemon-reload
       sudo systemctl enable --now ${services.join(' ')}

5. **Join** the channel. The orderers order as soon as enough of them are there.

       ${run('join')}

6. **Approve** the contract, and start its process: the command prints the unit to install as in 4.

       ${run('approve')}

7. **Commit**: one member, when every member has done 6 with the same build.

       ${run('commit')}

8. **Look**: every node well, the same number of blocks everywhere.

       ${run('status')}
${API_STEP(run(`access access-of-${own.name}`))}`;
}

const API_STEP = (access: string): string => `
Whoever runs the API needs identities of every member. They can record and register for the member, not govern the
channel. They hold keys: give them to nobody else, over a channel that keeps a secret.

       ${access}
`;
