// A call of a tool, as in a remedy or a plan: the tool's name, and its arguments by name. Arguments are references (names, ids),
// never commands to run. The tool checks them (node/action/tool.ts).

export type Argument = string | number | boolean | readonly string[];

export type ToolCall = Readonly<Record<string, Argument>> & { readonly tool: string };
