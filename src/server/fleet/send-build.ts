import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { Failure } from '../../lib/report.js';
import type { Fleet, Host } from './fleet.js';
import type { HostReport } from './inspect-fleet.js';
import { dropFile, storeFile } from './store-file.js';

/** Streams a packed build to every host: all of them get it, or none keeps it. Resolves with its path on each. */
export async function sendToAll(
  fleet: Fleet,
  looks: readonly HostReport[],
  file: string,
  sha: string,
  signal: AbortSignal,
): Promise<string[]> {
  const name = `${sha.slice(0, 12)}-${randomUUID()}.tgz`;
  const folderOf = (host: Host): string => {
    const place = looks.find((look) => look.host === host.position)?.facts?.stateFolder;
    if (place === undefined)
      throw new Failure({ message: `${host.prefix}there is no folder to store the build in` });
    return `${place}/incoming`;
  };
  const folders = fleet.hosts.map(folderOf);
  const sent = await Promise.allSettled(
    fleet.hosts.map((host, index) =>
      storeFile(host, { folder: folders[index]!, name, content: createReadStream(file) }, signal),
    ),
  );
  const failed = sent.find((one) => one.status === 'rejected');
  if (failed) {
    await Promise.all(fleet.hosts.map((host, index) => dropFile(host, folders[index]!, name)));
    throw failed.reason;
  }
  return folders.map((folder) => `${folder}/${name}`);
}
