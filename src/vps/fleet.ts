import type { HealthFact } from '../base/report.js';
import type { HostFacts, ProbeRequest, RunResult, WorkerEvent, WorkerRequest } from '../worker/protocol.js';

/** One server of `ssh-host`. */
export interface Host {
  /** From 1; what a host is called in logs and outputs, because its name is often a secret. */
  readonly position: number;
}

/** All servers of a run: connected on first use, one SSH connection each, reconnected when it is lost. */
export interface Fleet {
  readonly hosts: readonly Host[];
  close(): Promise<void>;
}

export type { HealthFact, HostFacts, ProbeRequest, RunResult, WorkerEvent, WorkerRequest };
