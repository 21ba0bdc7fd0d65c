import type { SessionDefaults } from '../../mcp/tool-context.ts';
import type { Environment } from '../../system/environment.ts';

/** Defaults for sessions from variables of the server, under the names that agents know. */
export function sessionDefaults(env: Environment): SessionDefaults {
  return {
    useBedrock: env.get('CLAUDE_CODE_USE_BEDROCK') === '1',
    awsRegion: env.get('AWS_REGION'),
    bedrockModel: env.get('ANTHROPIC_MODEL'),
    bedrockSmallModel: env.get('ANTHROPIC_DEFAULT_HAIKU_MODEL') ?? env.get('ANTHROPIC_SMALL_FAST_MODEL'),
  };
}
