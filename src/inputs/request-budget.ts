import { budgetOf, type RequestBudget } from '../lib/request-budget.js';
import type { Settings } from './settings.js';

/** What the run may ask of the application from there: the server and the runner share one budget where both ask. */
export function requestBudget(settings: Settings, place: 'server' | 'runner'): RequestBudget {
  const { health, run, skip, vps } = settings;
  const outside = health.url !== undefined && health.from !== 'vps' && !skip.includes('health');
  return budgetOf(place, place === 'server' ? !outside : vps === undefined, `${run.id}.${run.attempt}`);
}
