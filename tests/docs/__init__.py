"""The pages: that their links, commands, examples and generated parts hold."""
