// What a remedy asks for and a plan carries out: a tool by name, its arguments by name. Arguments are references (names,
// ids), never text to run; what they must be is the tool's to say (node/action/tool.ts).

export type Argument = string | number | boolean | readonly string[];

export type ToolCall = Readonly<Record<string, Argument>> & { readonly tool: string };
