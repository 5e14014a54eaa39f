// Services that are controlled by commands of the installation.
import type { KindOfService } from '../registry.ts';
import { createCommandController } from './controller.ts';
import { commandFindings } from './findings.ts';

export const command: KindOfService<'command'> = {
  create: createCommandController,
  findings: async (services, { root }) => (await Promise.all(services.map((service) => commandFindings(service, root)))).flat(),
};
