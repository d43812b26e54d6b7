/** What /api/health answers beyond version and commit: `ok`, or why not. */
exports.health = async () => ({ status: 'ok' });
