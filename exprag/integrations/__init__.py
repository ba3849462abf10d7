"""The bank behind the interfaces of other libraries; each module imports what it adapts to, and nothing else.

recall            a plain function: text, task or moment → memory block
langchain         VectorStore (documents), BaseRetriever (trajectories)
embeddings        LangChain's embeddings as the encoder of a bank
langgraph_store   LangGraph's BaseStore
tool              a tool for agents that would rather ask
middleware        experience for LangChain's create_agent (extra: langchain)
learning          the same, and finished conversations enter the bank; outcomes: how one went (extra: langchain)
conversation      a finished conversation as a Trajectory
deepagents        the bank as files for deepagents (extra: deepagents)
skills            what episodes of a type share, as agent skills
mcp_server        an MCP server over a bank (extra: mcp)
trl               environments with experience for TRL's GRPO (extra: train)
openenv           environments as an OpenEnv server (extra: openenv)
files             Parquet, Hugging Face datasets, and trace_files: files in the trace formats of other programs
"""
