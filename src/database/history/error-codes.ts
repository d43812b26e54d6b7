/** SQLSTATEs that our own messages raise; class MV is used by nobody else. */
export const CODES = {
  /** Ends a sub-transaction, so that what it did is undone; caught where it is raised. */
  undone: 'MV000',
  /** The version is recorded already. */
  recorded: 'MV001',
  /** The history is not the one that was planned from. */
  changed: 'MV002',
  /** Another run holds the lock. */
  locked: 'MV003',
  /** A file changed the migration history itself. */
  tampered: 'MV004',
  /** Another version of the action made our tables, and this one cannot read them. */
  format: 'MV005',
  /** The transaction that this message belongs to is gone. */
  lostTransaction: 'MV006',
  /** The schema is not as required; the message is a JSON list of problems. */
  notVerified: 'MV101',
  /** A query of verify-sql found rows; the message is a JSON list of what each found. */
  ownChecks: 'MV102',
  /** A version that is to be undone is in the history no more; the message names it. */
  gone: 'MV104',
  /** A down file would delete data that is not its own; the message is a JSON list of losses. */
  dataLoss: 'MV105',
  /** The down files do not give back the schema; the message is a JSON list of objects. */
  notAsBefore: 'MV106',
  /** Raised by a message's first statement: the server has parsed all that stands behind it, and ran nothing. */
  parsed: 'MV900',
} as const;
