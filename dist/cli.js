#!/usr/bin/env node
require('./engine/index.js').cli({ dist: __dirname });
