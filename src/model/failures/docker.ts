// What goes wrong with the Docker engine, containers and their images.
import type { FailureRegistry } from '../failure.ts';
import type { Named } from './services.ts';

export const dockerFailures = {
  DOCKER_ENDPOINT_INVALID: ({ source, value, why }: { source: string; value: string; why: string }) => ({
    message: `${source} does not lead to a Docker engine: "${value}", but ${why}.`,
    hint: 'Set DOCKER_HOST to unix:///path/to/docker.sock or tcp://host:port, or choose a context that is there (docker context ls). ssh:// is not supported: forward the socket instead.',
  }),
  DOCKER_UNREACHABLE: ({ address, error }: { address: string; error: string }) => ({
    message: `The Docker engine at ${address} does not answer: ${error}.`,
    hint: 'Start it (systemctl start docker), or say where it is with DOCKER_HOST. Then try again.',
  }),
  DOCKER_PERMISSION: ({ address, user }: { address: string; user: string }) => ({
    message: `User ${user} may not talk to the Docker engine at ${address}.`,
    hint: `Run the upgrade as root, or add the user to the engine's group (usermod -aG docker ${user}) and log in again.`,
  }),
  DOCKER_TIMEOUT: ({ what, address, timeoutMs }: { what: string; address: string; timeoutMs: number }) => ({
    message: `The Docker engine at ${address} did not ${what} within ${timeoutMs / 1000} s.`,
    hint: 'See whether the engine is busy or stuck (docker ps; journalctl -u docker), then try again.',
  }),
  DOCKER_API_VERSION: ({ address, error }: { address: string; error: string }) => ({
    message: `The Docker engine at ${address} is too old or too new for Rungs: ${error}.`,
    hint: 'Rungs needs an engine with API 1.40 or newer (Docker 19.03). Upgrade the engine.',
  }),
  DOCKER_CALL_FAILED: ({ what, error }: { what: string; error: string }) => ({
    message: `The Docker engine could not ${what}: ${error}.`,
    hint: "The sentence is the engine's own; journalctl -u docker often says more. Correct what it complains about and try again.",
  }),
  CONTAINER_MISSING: ({ service, target }: Named & { target: string }) => ({
    message: `Service ${service} has no container: there is no ${target}.`,
    hint: `Create it (docker run, docker compose up --no-start), or correct services.${service} in upgrade.yaml. "docker ps --all" lists what there is.`,
  }),
  CONTAINER_AMBIGUOUS: ({ service, target, names }: Named & { target: string; names: readonly string[] }) => ({
    message: `Service ${service} is one container, but ${target} fits ${names.length}: ${names.join(', ')}.`,
    hint: 'Give each container a service of its own, by name, or use a label that only one of them has. A Compose service must not be scaled.',
  }),
  CONTAINER_STILL_RUNNING: ({ service, container }: Named & { container: string }) => ({
    message: `Container ${container} of service ${service} still runs after the engine said that it was stopped.`,
    hint: 'Something starts it again: look for whoever else controls it.',
  }),
  CONTAINER_KEPT_GONE: ({ service, container, id }: Named & { container: string; id: string }) => ({
    message: `The container ${container} (${id}) of service ${service}, which this upgrade keeps until it is committed, was removed by somebody.`,
    hint: `Remove the new one where there is one (docker rm --force ${container}), create container ${container} by hand from its old image as it was (docker run, docker compose up), then run "upgrade rollback".`,
  }),
  CONTAINERS_LEFT_BEHIND: ({ run, names }: { run: string; names: readonly string[] }) => ({
    message: `Run ${run} was committed, but ended before it had removed what it kept for going back: ${names.join(', ')}.`,
    hint: 'The next "upgrade" or "upgrade resume" removes it; nothing depends on it any more.',
  }),
  CONTAINER_NAME_TAKEN: ({ name }: { name: string }) => ({
    message: `The container name ${name} is taken by a container that this upgrade did not make.`,
    hint: `Look at it (docker inspect ${name}), rename it (docker rename ${name} ${name}-other) or remove it, then run "upgrade resume" or "upgrade rollback".`,
  }),
  CONTAINER_PORT_TAKEN: ({ what, port }: { what: string; port: string }) => ({
    message: `The Docker engine could not ${what}: port ${port} is taken by something else.`,
    hint: `See who has it (ss -ltnp; docker ps), and end that, or publish another port.`,
  }),
  CONTAINER_NOT_RECREATABLE: ({ service, container, why, remedy }: Named & { container: string; why: string; remedy: string }) => ({
    message: `Container ${container} of service ${service} cannot be recreated with a new image: ${why}.`,
    hint: remedy,
  }),
  IMAGE_FOR_OTHER_KIND: ({ service, kind, transition }: Named & { kind: string; transition: string }) => ({
    message: `${transition} names a container image for service ${service}, which is a ${kind} service.`,
    hint: 'Images belong to services of kind docker or compose. Take the line out of "images:", or correct the name.',
  }),
  IMAGE_NOT_AVAILABLE: ({ service, image, transition, error }: Named & { image: string; transition: string; error: string }) => ({
    message: `The image ${image} of service ${service}, which ${transition} needs, is not there and cannot be pulled: ${error}.`,
    hint: `Correct the name, log in (docker login), pull it by hand (docker pull ${image}), or put it beside the transition: images: { ${service}: { image: "${image}", file: images/${service}.tar } }.`,
  }),
  IMAGE_FILE_UNUSABLE: ({ service, file, why }: Named & { file: string; why: string }) => ({
    message: `The image file ${file} of service ${service} cannot be used: ${why}.`,
    hint: 'Make it with "docker save IMAGE > FILE", beside transition.yaml, owned by whoever owns upgrade.yaml and writable by nobody else.',
  }),
  IMAGE_PULL_FAILED: ({ image, error }: { image: string; error: string }) => ({
    message: `The image ${image} could not be pulled: ${error}.`,
    hint: `Try it by hand (docker pull ${image}); log in with "docker login" where the registry asks for it. Nothing was changed yet.`,
  }),
  IMAGE_GONE: ({ service, image, id }: Named & { image: string; id: string }) => ({
    message: `The image ${image} (${id}) of service ${service} is no longer there, and what has its name now is another one.`,
    hint: 'Bring it back (docker load, docker pull by its digest), or roll back with "upgrade rollback".',
  }),
  IMAGE_UNKNOWN: ({ service, transition }: Named & { transition: string }) => ({
    message: `Which image service ${service} had before ${transition} is not recorded, so a downgrade cannot bring it back.`,
    hint: `Name it in the transition that leads to the lower version: images: { ${service}: … }.`,
  }),
  COMPOSE_OVERRIDE_UNREAD: ({ service, file, composeFile }: Named & { file: string; composeFile: string }) => ({
    message: `The new image of service ${service} is written to ${file}, which Docker Compose does not read by itself here.`,
    hint: `Add COMPOSE_FILE=${composeFile}:${file} to the .env file beside it, so that the next "docker compose up" keeps the new image.`,
  }),
  COMPOSE_OVERRIDE_EDITED: ({ file }: { file: string }) => ({
    message: `${file} is where Rungs keeps the images of Compose services, but it is not as Rungs wrote it.`,
    hint: 'Move what is in it into a file of your own, and delete it or give it back its first lines.',
  }),
} satisfies FailureRegistry;
