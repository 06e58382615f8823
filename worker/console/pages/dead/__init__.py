"""The pages of dead letters: causes, lists, actions on many, and the editor of one."""
