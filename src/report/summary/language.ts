import type { Outcome, PhaseName, PhaseReport, Problem, Report } from '../../lib/report.js';
import { outcomeText, type phaseOutcome } from '../log-format.js';
import { isUnwatched } from '../unwatched.js';
import { SPANISH_ADVICE } from './spanish-advice.js';

/** The languages of a summary. Outputs, exit codes, the log and the report file are English in each. */
export type Language = 'en' | 'es';

/** What a summary says in the words of one language. */
export interface SummaryWords {
  readonly headline: (report: Report) => string;
  readonly phase: (name: PhaseName) => string;
  readonly outcome: (outcome: ReturnType<typeof phaseOutcome>) => string;
  readonly next: string;
  readonly whatWentWrong: string;
  readonly warnings: string;
  /** The next action of a problem: in this language where the message is a known one, with the original behind it. */
  readonly advice: (problem: Pick<Problem, 'message' | 'next'>) => string | undefined;
}

const ENGLISH: SummaryWords = {
  headline: outcomeText,
  phase: (name) => name,
  outcome: (outcome) => outcome,
  next: 'Next',
  whatWentWrong: 'What went wrong',
  warnings: 'Warnings',
  advice: ({ next }) => next,
};

const VERDICTS: Readonly<Record<Outcome, string>> = {
  success: 'terminó bien',
  failure: 'falló',
  'rolled-back': 'falló y se revirtió',
  'rollback-failed': 'falló, y la vuelta atrás también',
  cancelled: 'se canceló',
  unknown: 'terminó, y no se sabe si tuvo efecto',
  skipped: 'se omitió: ya hay una ejecución más nueva en marcha',
};

const PHASES: Readonly<Record<PhaseName, string>> = {
  plan: 'plan',
  prepare: 'preparación',
  backup: 'copia de seguridad',
  migrate: 'migración',
  verify: 'verificación',
  redeploy: 'cambio de versión',
  health: 'salud',
  watch: 'vigilancia',
  rollback: 'vuelta atrás',
  status: 'estado',
};

const STEP_WORDS: Readonly<Record<PhaseReport['outcome'] | 'cancelled', string>> = {
  passed: 'bien',
  failed: 'falló',
  skipped: 'omitida',
  unknown: 'no se sabe',
  cancelled: 'cancelada',
};

const MODE_WORDS: Readonly<Record<string, string>> = {
  ...PHASES,
  deploy: 'despliegue',
  redeploy: 'despliegue del código',
};

const SPANISH: SummaryWords = {
  headline({ mode, environment, outcome, facts, phases }) {
    const where = environment === undefined ? '' : ` en ${environment}`;
    const verdict = mode === 'rollback' && outcome === 'rolled-back' ? VERDICTS.success : VERDICTS[outcome];
    const live =
      outcome === 'cancelled' && isUnwatched(phases) ? ': está en marcha, sin vigilarla hasta el final' : '';
    const stays = facts.schemaAhead ?? [];
    const kept =
      stays.length === 0 || outcome === 'success'
        ? ''
        : `; siguen aplicadas: ${stays.slice(0, 5).join(', ')}`;
    return `${MODE_WORDS[mode] ?? mode}${where}: ${verdict}${live}${kept}`;
  },
  phase: (name) => PHASES[name],
  outcome: (outcome) => STEP_WORDS[outcome],
  next: 'Siguiente paso',
  whatWentWrong: 'Qué falló',
  warnings: 'Avisos',
  advice(problem) {
    const spanish = spanishAdvice(problem);
    if (spanish === undefined || problem.next === undefined) return spanish ?? problem.next;
    // The original names files, hosts and commands that a general advice cannot.
    return problem.next.includes('\n') ? problem.next : `${spanish} — ${problem.next}`;
  },
};

/** The advice whose words the message holds, the longest ones first. */
function spanishAdvice({ message, next = '' }: Pick<Problem, 'message' | 'next'>): string | undefined {
  const fitting = SPANISH_ADVICE.filter(([words]) => message.includes(words) || next.includes(words));
  return fitting.toSorted(([a], [b]) => b.length - a.length)[0]?.[1];
}

/** The words of a language. */
export function summaryWords(language: Language): SummaryWords {
  return language === 'es' ? SPANISH : ENGLISH;
}
