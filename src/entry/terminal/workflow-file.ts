import type { InputName } from '../../inputs/input-sources.js';
import type { WorkflowConnection } from './known-names.js';

/** The commit of actions/checkout that the written workflow uses. */
const CHECKOUT = 'actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0';

/** Of one application in one environment, also where the repository holds several: `deploy-staging-apps-web`. */
export function workflowName(values: ReadonlyMap<InputName, string>): string {
  const parts = ['deploy', values.get('environment') ?? '', values.get('working-directory') ?? ''];
  return parts
    .map((part) => part.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, '-'))
    .filter((part) => part !== '')
    .join('-');
}

/** The text of the workflow that `init` writes. Every value is a double-quoted YAML string. */
export function workflowText(
  values: ReadonlyMap<InputName, string>,
  branch: string,
  connections: readonly WorkflowConnection[],
): string {
  const environment = values.get('environment')!;
  const place = values.get('working-directory');
  const own = [...values].filter(([name, value]) => value !== '' && name !== 'environment');
  const taken = connections.map(({ input, from }) => `          ${input}: \${{ ${from} }}`);
  return `name: ${JSON.stringify(`Deploy ${place === undefined ? '' : `${place} `}to ${environment}`)}
on:
  push:
    branches: [${JSON.stringify(branch)}]

permissions:
  contents: read

concurrency:
  group: ${JSON.stringify(workflowName(values))}

jobs:
  deploy:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    environment: ${JSON.stringify(environment)}
    steps:
      - uses: ${CHECKOUT}
        with:
          persist-credentials: false
      - uses: muva/deploy-action@v1
        with:
          environment: ${JSON.stringify(environment)}
${[...taken, ...own.map(([name, value]) => `          ${name}: ${JSON.stringify(value)}`)].join('\n')}
`;
}
