require('./engine/index.js').post({ dist: __dirname });
