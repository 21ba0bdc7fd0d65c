/** How far a start looks through a workspace for names to protect. */

/** Folders that tools fill, never opened as a project of their own: what is run from there is no file of the project. */
export const passedOver: readonly string[] = ['node_modules', '.venv', '__pycache__', '.cache', 'target'];

/** Levels below the workspace. */
export const deepest = 16;
