"""The Dockerfile's steps without a container engine, and the image's promises on what they make."""
