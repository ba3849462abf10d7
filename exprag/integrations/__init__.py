"""The bank behind the interfaces of other libraries; each module imports what it adapts to, and nothing else.

recall            a plain function: text, task or moment → memory block
langchain         VectorStore (documents), BaseRetriever (trajectories)
langgraph_store   LangGraph's BaseStore
tool              a tool for agents that would rather ask
middleware        experience for LangChain's create_agent (extra: langchain)
conversation      a finished conversation as a Trajectory
document_block    documents as fenced text for a prompt
trl               environments with experience for TRL's GRPO (extra: train)
openenv           environments as an OpenEnv server (extra: openenv)
files             Parquet and Hugging Face datasets
"""
