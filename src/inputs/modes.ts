export const MODES = [
  'plan',
  'migrate',
  'verify',
  'redeploy',
  'health',
  'rollback',
  'deploy',
  'status',
] as const;
export type Mode = (typeof MODES)[number];

/** What `skip` can leave out. */
export const PARTS = ['database', 'vps', 'health'] as const;
export type Part = (typeof PARTS)[number];
