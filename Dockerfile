# An image for graders: docker build -t attention . && docker run --privileged -v "$PWD/class:/class" -w /class attention
# Privileged, because bubblewrap makes namespaces in it. Nobody has built it in our tests, which have no Docker.
FROM python:3.11-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends bubblewrap && rm -rf /var/lib/apt/lists/*
WORKDIR /course
COPY . .
RUN make .venv/requirements-instructors.ok
ENV PATH=/course/.venv/bin:$PATH
ENTRYPOINT ["course"]
CMD ["grade", "02_attention", "--require-sandbox"]
