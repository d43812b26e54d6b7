require('./engine/index.js').action({ dist: __dirname });
