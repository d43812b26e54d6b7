import type { RollbackSettings } from '../inputs/settings.js';
import type { Problem } from '../lib/report.js';
import type { HostReport } from '../server/fleet/inspect-fleet.js';
import { onHost } from '../server/worker-client.js';
import type { HostRollbackTarget, Undo } from '../worker/protocol.js';

/** Where the code goes, decided from what every host answered before any of them is changed. */
export interface CodeTarget {
  /** What is asked of a host: the same rollback target for all, by the name that it has there. */
  undoOn: (host: { position: number }) => Undo;
  /** The workflow runs that are taken back; undefined where no host could be asked. */
  runs?: string[];
  /** The words of the command line that ask for the same again, and for nothing more. */
  again: string[];
}

type Wanted = Pick<RollbackSettings, 'to' | 'runId'>;

/**
 * Chooses the rollback target, or says why there is none. `previous` becomes one commit here, so that asking again after half
 * of it failed finishes the same rollback instead of going one release further. `schema`: the database goes back too.
 */
export function chooseCodeTarget(
  wanted: Wanted,
  reports: readonly HostReport[],
  schema: boolean,
): CodeTarget | { refusals: Problem[] } {
  return wanted.to === undefined ? undoRun(wanted.runId, reports) : backTo(wanted.to, reports, schema);
}

interface HostAnswer {
  look: HostReport;
  way: HostRollbackTarget;
}

function answersOf(reports: readonly HostReport[]): HostAnswer[] {
  return reports.flatMap((look) => (look.facts?.wayBack ? [{ look, way: look.facts.wayBack }] : []));
}

/** A host that has nothing to undo or cannot be reached is no reason to leave the others as they are. */
function undoRun(runId: string, reports: readonly HostReport[]): CodeTarget | { refusals: Problem[] } {
  const overtaken = answersOf(reports).flatMap(({ look, way }) =>
    way.kind === 'nothing' && way.overtakenBy !== undefined
      ? [
          onHost(look, {
            message: `run ${runId} was overtaken: ${way.why}; nothing was undone`,
            next: 'Undo the later run first (run-id), or go back behind both with rollback-to.',
          }),
        ]
      : [],
  );
  if (overtaken.length > 0) return { refusals: overtaken };
  return { undoOn: () => ({ undoRun: runId }), runs: [runId], again: ['--run-id', runId] };
}

/** All hosts go to one commit, or none is changed. */
function backTo(
  to: string,
  reports: readonly HostReport[],
  schema: boolean,
): CodeTarget | { refusals: Problem[] } {
  const answers = answersOf(reports);
  const refusals = answers.flatMap(({ look, way }) =>
    way.kind === 'refused' ? [onHost(look, way.problem)] : [],
  );
  if (refusals.length > 0) return { refusals };
  if (answers.length === 0) return { refusals: reports.flatMap(({ problem }) => problem ?? []) };
  const target = ({ look, way }: HostAnswer): string =>
    way.kind === 'go' ? way.to.sha : (look.facts?.liveSha ?? '');
  const apart =
    disagreement(answers, ({ look }) => look.facts?.liveSha ?? '', to === 'previous' ? 'serve' : undefined) ??
    disagreement(answers, target, 'would go to');
  if (apart) return { refusals: [apart] };
  const sha = target(answers[0]!);
  const forward = answers.find(({ way }) => way.kind === 'go' && way.forward);
  if (forward && schema)
    return {
      refusals: [
        {
          message: `${sha.slice(0, 7)} came after what is live: it is no way back, and would need its migrations; nothing was changed`,
          next: `Deploy it: mode: deploy with ref: ${sha}. Without the schema: rollback-database: keep.`,
        },
      ],
    };
  const releases = new Map(
    answers.flatMap(({ look, way }) => (way.kind === 'go' ? [[look.host, way.to.release] as const] : [])),
  );
  const runs = answers.flatMap(({ way }) => (way.kind === 'refused' ? [] : way.runs));
  return {
    undoOn: ({ position }) => ({ to: releases.get(position) ?? sha }),
    runs: [...new Set(runs)],
    again: ['--rollback-to', sha],
  };
}

/** Hosts that differ in something that one rollback needs to be the same. */
function disagreement(
  answers: readonly HostAnswer[],
  of: (answer: HostAnswer) => string,
  verb: string | undefined,
): Problem | undefined {
  if (verb === undefined || new Set(answers.map(of)).size === 1) return undefined;
  const each = answers.map((answer) => `${answer.look.name} ${of(answer).slice(0, 7) || 'nothing'}`);
  return {
    message: `the hosts ${verb} different commits (${each.join(', ')}); nothing was changed`,
    next: 'Name the commit that all of them are to serve with rollback-to, or the run that is to be undone with run-id.',
  };
}
