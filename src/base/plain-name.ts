/** Form of the names that people give credentials, callers, agents, providers and presets. */
export const plainName = /^[a-z][a-z0-9-]{0,62}$/;
